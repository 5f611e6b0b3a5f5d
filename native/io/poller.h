// Which streams of a driver are ready, and somebody to wait for them: one thread waits, without the driver's turn; all
// else happens under it.
#pragma once

#if defined(_WIN32)
#include "io/poller_windows.h"
#else
#include "io/poller_uv.h"
#endif
