"""Helpers that the notebooks import: `checks`, `datasets`, `plotting`, `profiles`, `profiling`.

`import shared` is light: it imports nothing heavy, and each module imports torch, matplotlib
or scikit-learn only when it is used itself. No model, no training loop and no answer lives here.
"""
