"""The `workbook` command: from a week's source to notebooks, verdicts and grades.

Data flows one way; a module imports only from those before it:

    errors -> source -> rules -> leaks -> build -> variants, outputs, course
           warming (processes to fork from) -> runner -> verify
                                            repair, record -> grade, hooks, sample_class
                                            learner, report -> cli
"""
