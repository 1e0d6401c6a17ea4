"""The MCP door: tools, resources and prompts over the workspace. Holds no logic of its own."""
