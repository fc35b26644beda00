"""A server for agents: read-only tools over the Model Context Protocol (MCP).

It needs the extra `mcp`, and calls `retrieval.api.PhotoLibrary` alone.
"""
