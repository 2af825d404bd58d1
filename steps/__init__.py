"""What works on any data directory: parallel drivers and the packages that ``local/`` stands on."""
