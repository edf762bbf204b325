"""What llmdeploy costs in time, next to other ways of doing the same, on the lab's hosts."""
