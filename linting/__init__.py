"""What is wrong with configuration files, and what to write instead: rules over files that were read already. Pure."""
