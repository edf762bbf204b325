"""The room that runs Ansible: start, events, interrupts, deadlines. Only room that knows ansible_runner.

environment.py  what the child process gets (pure)
translate.py    Ansible's events → ours (pure); reasons.py: ssh's and a module's words → plain words (pure)
worker.py       ansible-runner in a thread, its events in a queue
interrupt.py    signals → what to do about them
processes.py    the process table, ending processes by number and start time
start.py        `start()`: the loop that joins them, and its outcome
log.py          the log folder of one run
"""
