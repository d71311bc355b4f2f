"""The signed client for hot calls, and where its credentials and endpoints come from."""
