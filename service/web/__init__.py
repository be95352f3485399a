"""The web page at `/`: static files that talk to the same HTTP API as everybody else.

`static/` is what a browser gets, as it is: no build step, nothing from elsewhere. Each of
`static/pages/` is one page; `app.js` says which address shows which.
"""
