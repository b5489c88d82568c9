"""What a learner's verbs do, from the released notebooks alone: a learner's bundle holds no source of a week.

released   weeks/weekNN_topic/ -> the notebooks of a week, as the grader knows them
copies     start: the copy in work/, backups; merging: an updated week into that copy
lessons    the copy in work/ -> one job for each exercise
warm       where jobs run: a warm process that outlives the command, or a plain one
checking   jobs -> results, and which of them are still true
kept       what is remembered beside the copy: results, hints that were read
hints, scoreboard, handing_in, watching: the verbs of these names; screens draws for all of them
"""
