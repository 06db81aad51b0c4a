"""What tests share: files, stores and services in the place of real ones, commands and their processes."""
