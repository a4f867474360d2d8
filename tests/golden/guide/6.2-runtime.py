# ruff: noqa
# connection pool
import asyncpg
import asyncio


class DatabasePool:
    def __init__(self):
        self.pool = None

    async def create_pool(self):
        self.pool = await asyncpg.create_pool(
            "postgresql://user:password@localhost/db", min_size=10, max_size=20, command_timeout=60
        )

    async def execute(self, query, *args):
        async with self.pool.acquire() as conn:
            return await conn.execute(query, *args)


# cache
import redis
import json


class Cache:
    def __init__(self):
        self.redis = redis.Redis(host="localhost", port=6379, db=0)

    async def get(self, key):
        value = self.redis.get(key)
        if value:
            return json.loads(value)
        return None

    async def set(self, key, value, expire=3600):
        self.redis.setex(key, expire, json.dumps(value))
