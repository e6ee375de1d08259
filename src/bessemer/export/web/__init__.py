"""The page that scores rows in a browser, and a browser that looks at it."""
