"""A profile that survives exceptions; for production use a sampling profiler."""

import cProfile
import functools
import io
import pstats


def profile_function(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        profile = cProfile.Profile()
        profile.enable()
        try:
            return func(*args, **kwargs)
        finally:
            profile.disable()
            text = io.StringIO()
            pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats(20)
            print(text.getvalue())

    return wrapper


@profile_function
def slow_function():
    return sum(range(1_000_000))
