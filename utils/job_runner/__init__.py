"""What the job runners share: command line, JOB substitution, logs, supervision, site configuration."""
