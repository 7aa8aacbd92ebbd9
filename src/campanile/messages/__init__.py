"""Messages: a template and one customer's frozen values become one mail or one SMS.

Template authors are trusted colleagues, data is not: nothing in a customer's record can add a header, markup, a link or
a signature, and no template can call code, read a file or run for ever.
"""
