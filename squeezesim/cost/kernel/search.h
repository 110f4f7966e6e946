/* What the parts of the search share: what it is given, its state, and single tilings.
 *
 *     forms.c      closed forms of cycles
 *     tables.c     costs of tiles, each found once
 *     tilings.c    what the buffer holds of a tiling in a mode, and what passes between memories and buffer
 *     pipeline.c   its cycles, step by step
 *     bounds.c     what its cycles and its energy are not below
 *     search.c     branch and bound */

#ifndef SQUEEZESIM_SEARCH_H
#define SQUEEZESIM_SEARCH_H

#include <math.h>
#include <stddef.h>

#include "kernel.h"

enum { INPUTS, WEIGHTS, OUTPUTS, OPERANDS };
enum { N, S, K, C, LOOPS }; /* within a group; S is y and x */
enum { IN_N = 1 << N, IN_S = 1 << S, IN_K = 1 << K, IN_C = 1 << C };
enum { STAYS, STAYS_SINGLE, SLOTS, SINGLE, LEVELS }; /* bits: does not stay, has one slot */
enum { PKC, PCK, KCP, NKCP, ORDERS };
enum { OF_OTHERS = LEVELS - 1, PER_ORDER = LEVELS * OF_OTHERS * OF_OTHERS }; /* inputs alone may stay in one slot */
enum { AXIS_N, AXIS_Y, AXIS_X, AXIS_G, AXIS_K, AXIS_C, AXES };
enum { LATENCY, ENERGY, EDP };
enum { MOST_PARTS = 8 };

static inline bool does_stay(int level) { return !(level & SLOTS); }

extern const int NESTS[ORDERS][LOOPS];   /* loops from the outermost to the innermost */
extern const unsigned OWN[OPERANDS];     /* loops that each operand has */

/* ceil of what is not negative; the baseline of a processor may have no instruction for it. */
static inline double rounded_to_integer(double value) {
    if (value >= 0x1p62) return value;
    double whole = (double)(int64_t)value;
    return whole < value ? whole + 1 : whole;
}

/* Cycles in which finished outputs pass the lanes that add to them or pool them (`Workload.passed`). */
static inline double passed(const Problem *p, const Tile *tile) {
    double outputs = (double)(tile->n * tile->y * tile->x * tile->g * tile->k);
    return rounded_to_integer(outputs * (double)p->post_cycles / (double)p->post_outputs * (1 - 1e-12));
}

/* ---- what a search is given -------------------------------------------------------------------------------------- */

/* A part of the buffer with the operands that it holds, as bits of a set; partial sums are one more. */
typedef struct {
    double bits;
    int64_t holds;
} Part;

enum { HOLDS_PSUMS = 1 << OPERANDS };

typedef struct {
    int64_t stays, skip_rows, skip_columns, compressed, weights_bits, is_limited;
    int64_t is_double[OPERANDS];
    int64_t home[OPERANDS]; /* number of the memory */
    int64_t memories; /* that hold operands */
    int64_t several;  /* whether the machine has more than one */
    int64_t orders, required; /* sets */
    int64_t accumulators; /* sums that wait in the array between tiles; 0: a tile has all input channels */
    int64_t is_plain, is_finished;      /* `Shares` */
    int64_t parts;
    Part part[MOST_PARTS];
    double whole; /* bits of all parts */
} Memory;

/* Numbers in which the machines of a family differ; what is by operand is that of its memory. */
typedef struct {
    double room, buffer_bits_per_cycle, setup, slack, cycle_weight, energy_weight;
    double bytes_per_cycle[OPERANDS], all_bytes_per_cycle, latency[OPERANDS], least_latency;
    double multiply_per_bit2, add_per_bit, leakage_per_cycle;
    double register_file, between, buffer_read, buffer_write, memory[OPERANDS]; /* energy of a bit */
} Rates;

/* Closed forms of a quantity: the most of several sums of a term of the pixel option · one of the channel option. */
typedef struct {
    int64_t alternatives, terms;
    const double *rows;    /* (alternatives, terms, pixel options) */
    const double *columns; /* (alternatives, terms, channel options) */
} Forms;

enum { OF_WS, OF_OS, OF_UNIT };

typedef struct {
    int64_t kind;
    const Unit *unit;
    Forms energy;            /* of the array, of all problems, where the objective looks at it */
    const int64_t *executed; /* MACs of each problem */
} Flow;

/* Windows that pool outputs along an axis, as `pooling.Windows`. */
typedef struct {
    int64_t extent, number, size, stride, before;
} Windows;

typedef struct {
    Windows y, x;
    int64_t outputs;   /* of one channel that leave */
    int64_t open_bits; /* of a window that is not finished */
    int64_t unpooled;  /* bits that are read from the buffer before they are pooled; 0: nothing is */
} Pooling;

enum { SIZE, LAST = 3, TILES = 6, TOTAL = 9, FIRST, LARGEST, ONCE, APART, LAST_WINDOWS, MOST_WINDOWS, KEPT };
enum { PIXEL_COLUMNS = KEPT + 1, CHANNEL_COLUMNS = 9, PROBLEM_COLUMNS = sizeof(Problem) / sizeof(int64_t) };

typedef struct {
    int64_t problems, machines, flows, objective;
    const int64_t *work;     /* (columns of Problem, problems) */
    const Pooling *pooling;  /* of each problem */
    const int64_t *cut;      /* of each problem, whether all pixels in one tile are none of its options */
    const int64_t *waits;    /* latencies of each problem that nothing hides, at least */
    const int64_t *pixel_offsets, *channel_offsets;
    const int64_t *pixels;   /* (17, options): sizes, last sizes and tiles along n, y, x; InputTraffic; Pooled */
    const int64_t *channels; /* (9, options): sizes, last sizes and tiles along g, k, c */
    const Array *array;
    const Memory *memory;
    const Rates *rates;      /* of each machine */
    const Flow *flow;
    const double *ceiling;   /* (machines, problems): nothing above it is looked for; or NULL */
    double *measures;        /* (4, machines, problems): cycles, energy, their weighted sum, DRAM bits */
    int64_t *choice;         /* (5, machines, problems): dataflow, mode, pixel option, channel option, number */
} Input;

/* ---- its state --------------------------------------------------------------------------------------------------- */

/* What is known of the tiles of a dataflow. */
typedef struct {
    struct Known *entries;
    uint32_t *slots; /* index + 1 into entries; 0: none */
    size_t count, capacity, mask;
} Table;

/* Numbers by key. */
typedef struct {
    int64_t *keys; /* -1: none */
    double *values;
    size_t count, mask;
} Seen;

/* What follows from an order alone, and from which of its loops have several tiles. */
typedef struct {
    unsigned inside[LOOPS];   /* loops inside each loop */
    unsigned whole[OPERANDS]; /* loops along which an operand that stays is held whole */
    bool distinct[1 << LOOPS]; /* whether no order before is the same */
    bool pixels_outside;      /* whether the loop over S is outside of that over K */
} Order;

/* A pixel option beside a channel option, with what they cost at least. */
typedef struct {
    double bound;   /* of the objective */
    double traffic; /* bits */
    double cycles, energy; /* of the array */
    int32_t pixel, channel;
} Pair;

/* A tiling that was played. */
typedef struct {
    double cycles, energy, value, traffic;
    int64_t flow, mode, pixel, channel, number;
    bool found;
} Best;

/* Closed forms of the problem. */
typedef struct {
    Forms of;
    int64_t pixels, channels; /* how far apart rows and columns stand */
    double *own;              /* memory of both, unless they are given */
    double *runs;             /* columns of runs of channel options, see screen.c */
} Closed;

/* Bits that are moved again for each of a term of inputs, of CUT and of a term of sums. */
typedef struct {
    double inputs, weights, sums;
    int of_inputs, of_sums;
} Again;

/* A pixel option beside channel options. */
typedef struct {
    int64_t pixel;
    const Closed *forms;                /* of cycles and of energy */
    double traffic;                     /* of what is moved once */
    Again again[ORDERS];                /* of what is moved again, under the orders that there are */
    int orders;
    double inputs, outputs;             /* bits of the first load and the last store, of a channel */
    double largest, weights, sums;      /* bits of a slot of each operand, of a channel, slice or filter */
} Row;

/* What runs of channel options cost at least beside each pixel option, whatever the rates of the machine are. */
typedef struct {
    double *values; /* (pixel options, measures, runs); NULL: there are too many */
    bool *known;    /* of each pixel option */
} Kept;

typedef struct {
    const Input *in;
    Order orders[ORDERS];
    Table *tables; /* of each dataflow */
    Pair *pairs;
    size_t pair_count, pair_capacity;
    bool failed; /* no memory */
    Seen seen;   /* bounds of pairs that were visited on the machine */
    /* of the problem */
    int64_t row;
    Problem problem;
    Pooling pooling;
    int64_t pixel_count, channel_count, longest;
    const int64_t *pixels[PIXEL_COLUMNS], *channels[CHANNEL_COLUMNS];
    double stored_slice; /* bits of the weights of an input and an output channel in their memory */
    int64_t least_g, least_k;      /* of the channel options */
    double *terms;                 /* of the channel options and of runs of them, see screen.c */
    Closed (*forms)[2];            /* of each dataflow, of cycles and of energy */
    Row beside;                    /* the pixel option that channel options are screened with */
    Pair *runs, *found;            /* of it: of runs of channel options, and of channel options of one */
    Kept *kept;                    /* of each dataflow, while the room stays the same */
    double kept_room;
    Best fastest, leanest;         /* on the machine before: of all tilings, and within the slack */
    Pair **ranked;                 /* of each dataflow, the best that the pairs of each pixel option can be */
    /* of the machine */
    const Rates *rates;
    double cycles_per_bit, constant;      /* of all ports together; cycles that nothing hides */
    double *rounding, *rounding_single;   /* of each channel option; negative: not known yet */
} State;

/* A pixel option beside a channel option. */
typedef struct {
    int64_t pixel, channel;
    Tile size, last;
    int64_t tiles[AXES];
    int64_t loops[LOOPS]; /* tiles along each loop */
    unsigned several;     /* loops with more than one */
    int64_t total, first, largest, once;
    bool apart, halos;
    bool changes[OPERANDS];      /* whether several tiles pass the buffer */
    double slots[OPERANDS];      /* bits of the largest tile of each operand */
    double beside;               /* the same of what is added to outputs, in one slot */
    double startup[OPERANDS];    /* bits of the first loads and the last store */
} Tiling;

/* An order of a tiling: bits of each operand at each level, inf where it cannot have it, and its fetches. */
typedef struct {
    double bits[OPERANDS][LEVELS];
    double open; /* bits of windows that are open between tiles */
    int64_t fetches[OPERANDS];
    bool reused; /* whether a tile of weights serves several tiles of pixels */
} Nest;

/* Bits that a mode moves between memories and buffer. */
typedef struct {
    int64_t inputs, weights, outputs, sums; /* partial sums are stored and loaded, half each */
    int64_t unpacked;                       /* weights as they are written into the buffer */
} Moved;

/* A mode of a tiling. */
typedef struct {
    int order, levels[OPERANDS];
    Moved moved;
    double traffic, bound; /* the bound is of the objective */
} Mode;

/* What a tiling costs on the array: its different tiles by the axes along which they are the last, and all of it. */
typedef struct {
    unsigned uneven; /* axes whose last tile differs from the others */
    double cycles[1 << AXES], count[1 << AXES];
    double begins[1 << AXES]; /* cycles of tiles whose sums begin; where the buffer is fast they are the same */
    double total;             /* cycles at least */
    double words[ACCESSES];
} OnArray;

SQUEEZESIM_EXPORT int squeezesim_search(const Input *in);
SQUEEZESIM_EXPORT int squeezesim_least_footprints(const Input *in);
SQUEEZESIM_EXPORT int squeezesim_forms(
    const Input *in, int64_t number, int64_t products, double *rows, double *columns
);

/* ---- its parts --------------------------------------------------------------------------------------------------- */

void take_row(State *s, int64_t row);
bool take_forms(State *s, int number); /* of cycles */
void take_prices(State *s, int number); /* forms of energy */

bool table_init(Table *table);
void table_clear(Table *table);
void table_free(Table *table);
const TileCost *tile_cost(State *s, int flow, const Tile *tile); /* valid until the next call */
void array_of(State *s, int flow, const Tiling *t, OnArray *array);
bool array_at_least(const State *s, int flow, const Tiling *t, OnArray *array); /* cycles; false: array_of is as fast */

bool seen_init(Seen *seen);
void seen_clear(Seen *seen);
void seen_free(Seen *seen);
bool seen_enter(Seen *seen, int64_t key, double value);
double seen_find(const Seen *seen, int64_t key); /* 0: it was not entered */

void fill_orders(Order *orders, unsigned among);
void tiling_of(const State *s, int64_t pixel, int64_t channel, Tiling *t);
double together_in_parts(const State *s, double inputs, double weights, double sums, double open);

/* Bits of the buffer that operands take together (`Shares.together`). */
static inline double together(const State *s, double inputs, double weights, double sums, double open) {
    if (s->in->memory->is_plain) return inputs + weights + sums + open + (double)s->problem.resident;
    return together_in_parts(s, inputs, weights, sums, open);
}

bool nest_of(const State *s, const Tiling *t, int order, Nest *nest); /* whether the order can be the best */
int modes_of(const State *s, const Tiling *t, int order, const Nest *nest, Mode *modes);
double footprint_at_least(const State *s, const Nest *nest);
double traffic_at_least(const State *s, const Tiling *t, int order, const Nest *nest);
int64_t moved_weights(const State *s, int64_t count);
static inline int64_t all_moved(const Moved *m) { return m->inputs + m->weights + m->outputs + m->sums; }

double transfer_cycles(double bits, double bytes_per_cycle);
double play(const State *s, const Tiling *t, const OnArray *array, int order, const int *levels);

void take_machine(State *s, int64_t machine);
double value_of(const State *s, double cycles, double energy);
double energy_of(const State *s, int flow, const double *words, const Moved *moved, double cycles);
double bound_of(const State *s, const Tiling *t, const Mode *mode, double array, const OnArray *exact);
double rounding_of(const State *s, int64_t channel, bool is_single);
double least_weighted(const State *s, double cycles, double energy, double traffic);

/* Sums of a dozen terms are rounded by some 1e-15, a transfer may take 1e-12 less than its volume. */
static inline double rounded_down(double cycles) { return cycles * (1 - 1e-11); }

/* The objective of tilings that take so many cycles and so much energy on the array, and move so many bits. */
static inline double least_value(const State *s, double cycles, double energy, double traffic) {
    if (s->in->objective == LATENCY) return rounded_down(cycles);
    return least_weighted(s, rounded_down(cycles), energy, traffic);
}

bool refine(const State *s, Pair *pair, double limit);

bool screen_problem(State *s, bool alike);
void screen_forget(State *s);
void take_pixel(State *s, int number, int64_t pixel);
int64_t screen_runs(State *s, int number);
int64_t screen_run(State *s, const Pair *run, double limit, double most_bits);
Pair screen_least(State *s, int number, int64_t pixel);
Pair screen_one(State *s, int number, int64_t pixel, int64_t channel);
double least_footprint(const State *s);

#endif
