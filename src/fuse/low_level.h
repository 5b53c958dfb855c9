// libfuse, at the one version of its interface that we are written for.
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#endif
#include <fuse_lowlevel.h>
