"""Start the server, warm it up, and only then say that it is ready."""

import asyncio

import aiohttp
from aiohttp import web

PORT = 8080


async def warm_up(tries: int = 20) -> None:
    """Fill caches and pools through the open port; the server may need a moment."""
    limit = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=limit) as session:
        for _ in range(tries):
            try:
                async with session.get(f"http://localhost:{PORT}/cache/warmup") as response:
                    await response.read()
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.5)
    raise RuntimeError(f"no answer from port {PORT} after {tries} tries")


async def main() -> None:
    app = web.Application()
    app["ready"] = asyncio.Event()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, port=PORT).start()
    await warm_up()
    app["ready"].set()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
