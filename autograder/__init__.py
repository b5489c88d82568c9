"""The `workbook` command: from a week's source to notebooks, verdicts and grades.

Data flows one way. A package imports only from those above it (`tests/test_packages.py` holds the allowed arrows):

    core          errors, files, texts                     rendering     anybody's texts as HTML that runs nothing
    week          a week as its author wrote it            course        the folder of a class
    repair        a file -> the shape of the release       engine        learners' code in sandboxes, tests in a judge
    execution     jobs -> runs, on this machine or many    building      source -> notebooks; rules and leaks
    submissions   what platforms deliver -> one file each  gradebook     what is known about a class
    feedback      what a learner is told                   reporting     what an instructor is told
    marking       written answers, in a browser            similar       submissions with parts in common
    desk          nbgrader's formgrader behind a guard     grading       repair, run, judge, record, explain
    authoring     new weeks, and the proof of their tests  learner       start, check, watch, submit
    commands      the verbs, by who types them
"""
