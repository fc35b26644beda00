"""The HTTP server: the page and the API, over one or more libraries.

It needs the extra `serve` (FastAPI and uvicorn), and calls `retrieval.api.PhotoLibrary` alone.
"""
