"""Every shape that crosses a border: the wire, jobs, runners."""
