"""What people look at: one readout as a web page, as Markdown, as JSON and as a table.

Reads the finished values of a readout. Returns text. Never computes an effect, never sees a customer.
"""
