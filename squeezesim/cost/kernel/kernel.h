/* What the compiled core exports. C11, without dependencies and without Python's API. */
#ifndef SQUEEZESIM_KERNEL_H
#define SQUEEZESIM_KERNEL_H

/* The version of the functions below, as ABI in __init__.py: raise both when a signature or a meaning changes. */
#define SQUEEZESIM_ABI 1

/* The digest of the sources, which the build passes: the loader takes no library of other sources. */
#ifndef SQUEEZESIM_SOURCE
#define SQUEEZESIM_SOURCE ""
#endif

#if defined(__GNUC__)
#define SQUEEZESIM_EXPORT __attribute__((visibility("default")))
#else
#define SQUEEZESIM_EXPORT
#endif

SQUEEZESIM_EXPORT int squeezesim_abi(void);
SQUEEZESIM_EXPORT const char *squeezesim_source(void);

#endif
