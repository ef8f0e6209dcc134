"""The explorer: published tables as script files that a page opened from disk loads one at a time, and the page.

Pure: frames in, texts out. The page itself is built from `explorer/` at the root of the project into `built/` here.
"""
