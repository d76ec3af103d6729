#pragma once
// One binary for every x86-64: the loader picks the widest version of a kernel that the machine has.

// The levels are instruction sets; a processor's name (arch=haswell) would match that very processor only and leave every newer one with
// the slowest version.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define HEADSTART_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HEADSTART_CLONES
#endif
// What a clone calls must become part of it, or it would run as the default version.
#define HEADSTART_INLINE __attribute__((always_inline)) inline
