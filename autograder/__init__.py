"""The `workbook` command: from a week's source to notebooks, verdicts and grades.

Data flows one way; a module imports only from those before it in this chain:

    errors -> source -> rules -> build -> variants -> worker -> runner -> verify
                                             repair -> record -> grade -> report -> cli
"""
