"""What does a plan look like?"""

EXAMPLE_PLAN = """\
# What to measure, and on which machines. Run it with
#   lexer fleet run plan.toml --scheduler this-machine -o fleet.lexer
# or, on many machines, with --scheduler tls://HEAD:8786 and the options --tls-….

# The code of the models: a folder, which is sent to every machine, or a wheel. Relative to
# this file. Without this line, the models must be installed on the machines.
code = "."

# Settings of all runs, as in docs/settings.md.
[settings]
max_seconds = 30
launches = 3

# What to measure: one entry for each benchmark or tuning. All machines measure all of them.
[[runs]]
name = "net"
# Several targets are measured in the same rounds, in one table.
targets = ["net.py:Net"]
inputs = ["image=float32[1,3,224,224]"]
# A list is a run for each size.
batch_size = [1, 8]

# A run with `vary` is a tuning.
# [[runs]]
# name = "tuned"
# targets = ["net.py:Net"]
# inputs = ["image=float32[1,3,224,224]"]
# vary = {threads = [1, 2, 4], batch = [1, 8]}
# maximize = ["throughput"]
# limits = ["p99<=20ms"]

# The kinds of machines. Without any, every connected machine measures.
# [[machines]]
# name = "cpu"
# labels = ["big"]       # of the worker: --resources "machine=1 big=1"
# count = 2              # wait for two, and use two; default: all that are connected
# price = "$0.40/h"

# [[machines]]
# name = "gpu"
# labels = ["gpu"]
# price = "$2.50/h"
# settings = {device = "cuda:0", engines = ["torch", "onnxruntime"]}
"""
