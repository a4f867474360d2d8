"""A pool that fits the database, and a cache that does not stop the event loop."""

import json
import os
import random

import asyncpg
import redis.asyncio as redis


class DatabasePool:
    """Ten pods of eight connections stay below max_connections; a statement ends before the proxy gives up."""

    def __init__(self):
        self.pool = None

    async def open(self):
        self.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=8, command_timeout=8)

    async def close(self):
        await self.pool.close()

    async def execute(self, query, *args):
        async with self.pool.acquire(timeout=2) as connection:
            return await connection.execute(query, *args)


class Cache:
    def __init__(self):
        self.redis = redis.Redis(host=os.environ["REDIS_HOST"])

    async def get(self, key):
        value = await self.redis.get(key)
        return json.loads(value) if value else None

    async def set(self, key, value, expire=3600):
        """The lifetime varies, so that entries do not all end at once."""
        await self.redis.setex(key, expire + random.randrange(expire // 10 + 1), json.dumps(value))
