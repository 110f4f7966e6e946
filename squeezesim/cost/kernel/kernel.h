/* What the parts of the compiled core share. C11, without dependencies and without Python's API.
 *
 * Names and numbers are those of the NumPy model. Integers are exact: the product of a layer's loop sizes is at most
 * 2^50. */

#ifndef SQUEEZESIM_KERNEL_H
#define SQUEEZESIM_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* The version of the functions below, as ABI in __init__.py: raise both when a signature or a meaning changes. */
#define SQUEEZESIM_ABI 9

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

/* A row of `Workload`, by its columns in order. */
typedef struct {
    int64_t n, g, k, c, y, x, fy, fx, iy, ix, sy, sx, dy, dx, py, px;
    int64_t weight_bits, activation_bits, accumulator_bits;
    int64_t macs_at_once, cycles_at_once;
    int64_t nonzeros, block_kept, block_size, stored_weights, constants, added, second;
    int64_t input_bits, factor_bits, output_bits, resident, beside, valid, pool;
    int64_t post_cycles, post_outputs, pointwise, is_product;
} Problem;

/* Numbers of `Machine` that say what a tile costs on the array. */
typedef struct {
    int64_t rows, cols, ports, weight_swap, psum_words;
    int64_t systolic; /* booleans */
    int64_t chooses_blocks;
    int64_t moves_least; /* whether the fewest words come before the fewest cycles */
    int64_t os_skips;   /* whether zeros are skipped in `os` */
    int64_t structured; /* whether PEs hold what patterns keep */
    int64_t paced;      /* whether a PE does more or less than a MAC a cycle with some widths */
} Array;

/* What stays in the PEs of a unit. */
enum { OUTPUTS_STAY, WEIGHTS_STAY, INPUTS_STAY };

/* Blocks of tiles on a unit: of all of it, of as many parts of each loop as on all of it, or any. */
enum { WHOLE_BLOCKS, AS_MANY_BLOCKS, ANY_BLOCKS };

/* Numbers of `machine.Unit`, and of `Machine` for a unit. */
typedef struct {
    int64_t n, g, k, c, y, x, fy, fx, t, p; /* iterations at once (`Unit.by`); 1: the loop runs in time */
    int64_t stationary;
    int64_t interval;     /* cycles of a step */
    int64_t ports;        /* words a cycle of what stays; 0: never limiting */
    int64_t preload;      /* cycles at least */
    int64_t output_words; /* a cycle; 0: never limiting */
    int64_t latency;      /* cycles for each tile */
    int64_t psums_stay;   /* boolean: no partial sums leave the array */
    int64_t accumulates;  /* boolean: they wait there for other tiles of their outputs */
    int64_t blocks;       /* those that may be chosen */
} Unit;

/* Sizes of a tile, and whether its sums go on in the array in the tile after. */
typedef struct {
    int64_t n, y, x, g, k, c;
    int64_t unfinished;
} Tile;

/* What words are moved for. Partial sums are read from the buffer as often as they are written. */
enum {
    REGISTER_INPUTS,
    REGISTER_WEIGHTS,
    REGISTER_PSUMS,
    BETWEEN_INPUTS,
    BETWEEN_WEIGHTS,
    BETWEEN_PSUMS,
    BUFFER_INPUTS,
    BUFFER_WEIGHTS,
    BUFFER_PSUMS,
    ACCESSES
};

/* Cycles of the array for a tile, stream and fill, and words of each access. */
typedef struct {
    int64_t cycles;
    double words[ACCESSES];
} TileCost;

/* ceil(a / b) of a >= 0, b > 0. */
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* A divisor of whole numbers up to 2^50: (a + 1/2) / b is farther from the next integer than it is rounded, and adding
 * 3 · 2^51 rounds to an integer. */
typedef struct {
    double by, inverse;
} Divisor;

static inline Divisor divisor_of(int64_t by) { return (Divisor){(double)by, 1 / (double)by}; }

static inline double over(double a, Divisor d) {
    const double whole = 0x1.8p52;
    return ((a + 0.5) * d.inverse - 0.5 + whole) - whole;
}

static inline double over_up(double a, Divisor d) { return over(a + (d.by - 1), d); }

/* Cycles in which a PE does so many MACs, one after the other (`Workload.paced`). */
static inline int64_t paced(const Problem *p, int64_t macs) {
    if (p->macs_at_once == p->cycles_at_once) return macs;
    return ceil_div(macs * p->cycles_at_once, p->macs_at_once);
}

/* fmin and fmax are calls, since they look at what is not a number. */
static inline double lesser(double a, double b) { return a < b ? a : b; }
static inline double larger(double a, double b) { return a > b ? a : b; }

/* Filter taps. */
static inline int64_t taps_of(const Problem *p) { return p->fy * p->fx; }

/* What a tile costs in each dataflow, and on a unit. */
void ws_tile(const Problem *p, const Array *a, const Tile *t, TileCost *cost);
void os_tile(const Problem *p, const Array *a, const Tile *t, TileCost *cost);
void unit_tile(const Problem *p, const Unit *u, const Tile *t, TileCost *cost);

/* Cycles that a tile is not below where blocks are chosen, found sooner. */
double ws_least(const Problem *p, const Array *a, const Tile *t);
double os_least(const Problem *p, const Array *a, const Tile *t);
double unit_least(const Problem *p, const Unit *u, const Tile *t);
bool unit_chooses(const Unit *u); /* whether tiles may use less of a unit */

/* Terms of the pixels or of the channels of tiles: what closed forms of cycles are made of (`Bounds`). */
enum { WS_STREAM, WS_SHARE };
enum { WS_BLOCKS, WS_PRELOADS, WS_FIRST, WS_SWAPS };
enum { OS_BLOCKS, OS_PRELOAD, OS_DRAIN, OS_LAST_DRAIN };
enum { OS_STREAM, OS_WINDOWS, OS_OUTPUTS, OS_LAST_CHUNK };
enum { UNIT_PARTS, UNIT_STREAM, UNIT_PIXELS, UNIT_FIRST_PIXELS };
enum {
    UNIT_CYCLES,
    UNIT_BLOCKS,
    UNIT_INPUTS,
    UNIT_OUTPUTS,
    UNIT_FIRST,
    UNIT_PRELOADS,
    UNIT_EXPOSED,
    UNIT_LATENCY,
    MOST_TERMS
};

enum { TOGETHER = 64 }; /* tiles whose terms are found at once */

/* Pixels of tiles along n, y, x, or channels along g, k, c: tiles that differ along the last axis alone. */
typedef struct {
    int64_t a, b, count;
    const int64_t *c;
} Sides;

typedef struct {
    double of[MOST_TERMS][TOGETHER];
} Terms;

void ws_pixels(const Problem *p, const Array *a, const Sides *sides, Terms *terms);
void ws_channels(const Problem *p, const Array *a, const Sides *sides, Terms *terms);
void os_pixels(const Problem *p, const Array *a, const Sides *sides, Terms *terms);
void os_channels(const Problem *p, const Array *a, const Sides *sides, Terms *terms);
void unit_pixels(const Problem *p, const Unit *u, const Sides *sides, Terms *terms);
void unit_channels(const Problem *p, const Unit *u, const Sides *sides, Terms *terms);

#endif
