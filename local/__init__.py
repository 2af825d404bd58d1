"""The small programs that the stages of run.sh call."""
