"""What should be tried next? Pure skills behind one port; `python -m optimizers` speaks them as JSON lines.

The matrices here are small, and the threads of a linear algebra library would only wait for each other, so there is one
unless the environment says otherwise.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
