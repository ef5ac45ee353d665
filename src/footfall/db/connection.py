"""The type of what ``Database.read`` and ``Database.write`` give, for rooms that may not import SQLAlchemy."""

from sqlalchemy.engine import Connection as Connection

__all__ = ["Connection"]
