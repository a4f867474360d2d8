# ruff: noqa
import asyncio
import aiohttp


async def warmup():
    async with aiohttp.ClientSession() as session:
        # the database's connections, so the guide says
        await session.get("http://localhost:8080/health")
        # the cache
        await session.get("http://localhost:8080/cache/warmup")


async def main():
    await asyncio.gather(warmup(), start_web_server(), start_background_tasks())


if __name__ == "__main__":
    asyncio.run(main())
