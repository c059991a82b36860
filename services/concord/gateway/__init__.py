"""The REST shim: five vendors' APIs in their own shapes over the core's contracts. It holds no power of its own."""
