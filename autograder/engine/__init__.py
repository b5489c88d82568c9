"""The grading engine: learners' code in sandboxes, test cells in a trusted judge, plain data between them.

    runner (in the grader) --job--> judge --requests--> learner (in a sandbox)
                           <-verdicts-    <-plain data-

Modules in the order in which they may import each other: `wire` (bounded plain data), `isolation` (namespaces
and limits), `shell` (cells in IPython), `answers` (the learner's side), `warm` (the process that learners and
judges are forked from), `process` (such a process from outside), `results` (what may come back of a cell), `handles`
and `gradients` (learner objects as the judge sees them), `judge` (one submission), `sandbox` (bubblewrap). Only the
first five are visible inside a sandbox. `lasting` and `plain` run a learner's own checks, outside of any.
"""
