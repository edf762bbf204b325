"""Pure: service specifications, checks, order, the job, the plan. No I/O, no Ansible, no Docker client."""
