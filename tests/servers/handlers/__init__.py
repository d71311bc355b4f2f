"""Functions as a user writes them, with AWS Lambda Powertools."""
