"""The grading engine: learners' code in sandboxes, test cells in a trusted judge, plain data between them.

    pool (in the grader) --job--> judge --requests--> learner (in a sandbox)
                         <-verdicts-    <-plain data-

`guest` is all that a sandbox sees: `wire` (bounded plain data), `isolation` (namespaces and limits), `shell` (cells in
IPython), `learner_process`, and the `fork_server` that learners and judges are forked from. Outside of it: `sandbox`
(bubblewrap), `child` (a forked process as its starter sees it), `validate` (what may come back of a cell), `handles`
and `remote_autograd` (learner objects as the judge sees them), `judge` (one submission). `fork_daemon` and `no_fork`
run a learner's own checks, outside of any sandbox.
"""
