#include "kernel.h"

int squeezesim_abi(void) { return SQUEEZESIM_ABI; }

const char *squeezesim_source(void) { return SQUEEZESIM_SOURCE; }
