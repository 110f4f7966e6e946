/* The load–compute–store pipeline of a tiling's tiles, as in `cost.pipeline`: its cycles, exactly. */

#include <string.h>

#include "search.h"

/* Cycles of a transfer: whole bytes at the memory's rate; binary rounding must not add one. */
double transfer_cycles(double bits, double bytes_per_cycle) {
    double bytes = rounded_to_integer(bits / 8);
    return rounded_to_integer(bytes / bytes_per_cycle * (1 - 1e-12));
}

/* How outputs read inputs along one axis. */
typedef struct {
    int64_t stride, taps, dilation, padding, available;
    bool skip;
} Window;

/* Positions before *position* that windows touch which a stride larger than the filter sets apart. */
static int64_t touched_before(const Window *w, int64_t position, int64_t first, int64_t size, int64_t extent) {
    int64_t from = most(position - first, 0), full = from / w->stride, rest = from % w->stride;
    return least(full * extent + least(rest, extent), size * extent);
}

/* Input positions that *size* outputs from output *start* on make the DMA load. */
static int64_t input_extent(const Window *w, int64_t start, int64_t size) {
    int64_t extent = (w->taps - 1) * w->dilation + 1, first = start * w->stride - w->padding;
    int64_t last = first + (size - 1) * w->stride + extent;
    if (w->skip && w->stride > extent)
        return touched_before(w, w->available, first, size, extent) - touched_before(w, 0, first, size, extent);
    return most(least(last, w->available) - most(first, 0), 0);
}

/* Input positions that outputs from output *start* on and those before it both read. */
static int64_t input_overlap(const Window *w, int64_t start) {
    if (start == 0) return 0;
    int64_t first = start * w->stride - w->padding;
    int64_t end = first - w->stride + (w->taps - 1) * w->dilation + 1;
    return most(least(end, w->available) - most(first, 0), 0);
}

/* Whether tiles 1 ... T-2 read equally much: none of them touches the padding. */
static bool read_alike(const Window *w, int64_t size, int64_t tiles) {
    int64_t end = ((tiles - 1) * size - 1) * w->stride - w->padding + (w->taps - 1) * w->dilation + 1;
    return size * w->stride >= w->padding && end <= w->available;
}

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

/* How many windows are finished by the outputs before *end*. */
static int64_t finished_by(const Windows *w, int64_t end) {
    if (end >= w->extent) return w->number;
    return most(least(floor_div(end + w->before - w->size, w->stride) + 1, w->number - 1), 0);
}

/* Whether each of *tiles* of *size*, but for the first and the last, finishes as many windows as the others. */
static bool finish_alike(const Windows *w, int64_t size, int64_t tiles) {
    int64_t last = (tiles - 1) * size;
    if (finished_by(w, last) == finished_by(w, size)) return true;
    bool first = size + w->before >= w->size - w->stride;
    bool within = floor_div(last + w->before - w->size, w->stride) + 1 < w->number;
    return size % w->stride == 0 && first && within;
}

/* An axis as it is played: all tiles, or the first, one for all between, the last but one and the last. */
typedef struct {
    int64_t count; /* tiles that are played */
    int64_t end;   /* index of the last tile */
    int64_t firsts; /* tiles before those between, if these are played as one */
    bool shortened;
    int64_t size, last;
} Axis;

static int64_t index_of(const Axis *axis, int64_t digit) {
    return axis->shortened && digit > axis->firsts ? axis->end - 2 - axis->firsts + digit : digit;
}

static int64_t weight_of(const Axis *axis, int64_t digit) {
    return axis->shortened && digit == axis->firsts ? axis->end - 1 - axis->firsts : 1;
}

static int64_t size_at(const Axis *axis, int64_t index) { return index == axis->end ? axis->last : axis->size; }

/* A tiling as it is played. */
typedef struct {
    const State *s;
    Window y, x;
    Axis axes[AXES];
    int cut[AXES], depth; /* axes with several tiles, the outermost first */
    bool stays[OPERANDS], single[OPERANDS]; /* single: moved between two steps */
    bool one_slot; /* of inputs that stay: what begins anew waits, and so does what is added to outputs */
    unsigned given_up; /* axes along which inputs that stay are given up */
    bool whole; /* inputs are loaded without what tiles before read too */
} Played;

static void prepare(Played *d, const State *s, const Tiling *t, int order, const int *levels) {
    const Problem *p = &s->problem;
    const Memory *memory = s->in->memory;
    d->s = s;
    d->y = (Window){p->sy, p->fy, p->dy, p->py, p->iy, memory->skip_rows};
    d->x = (Window){p->sx, p->fx, p->dx, p->px, p->ix, memory->skip_columns};
    for (int axis = 0; axis < AXES; axis++) {
        int64_t tiles = t->tiles[axis];
        d->axes[axis] = (Axis){tiles, tiles - 1, 1, tiles > 4, (&t->size.n)[axis], (&t->last.n)[axis]};
    }
    const int along[] = {AXIS_Y, AXIS_X};
    const Window *windows[] = {&d->y, &d->x};
    const Windows *pools[] = {&s->pooling.y, &s->pooling.x};
    for (int number = 0; number < 2; number++) {
        Axis *axis = &d->axes[along[number]];
        int64_t tiles = axis->end + 1;
        if (!p->pointwise) axis->shortened = axis->shortened && read_alike(windows[number], axis->size, tiles);
        if (p->pool) { /* the first tile may finish fewer windows than the second */
            axis->firsts = 2;
            axis->shortened = axis->shortened && tiles > 5 && finish_alike(pools[number], axis->size, tiles);
        }
    }
    for (int axis = 0; axis < AXES; axis++)
        if (d->axes[axis].shortened) d->axes[axis].count = 3 + d->axes[axis].firsts;
    static const int AXES_OF[LOOPS][2] = {
        [N] = {AXIS_N, AXIS_N}, [S] = {AXIS_Y, AXIS_X}, [K] = {AXIS_K, AXIS_K}, [C] = {AXIS_C, AXIS_C}};
    d->depth = 0;
    if (d->axes[AXIS_G].end) d->cut[d->depth++] = AXIS_G;
    for (int depth = 0; depth < LOOPS; depth++) {
        const int *axes = AXES_OF[NESTS[order][depth]];
        if (d->axes[axes[0]].end) d->cut[d->depth++] = axes[0];
        if (axes[1] != axes[0] && d->axes[axes[1]].end) d->cut[d->depth++] = axes[1];
    }
    for (int operand = 0; operand < OPERANDS; operand++) {
        d->stays[operand] = does_stay(levels[operand]);
        d->single[operand] = !memory->is_double[operand] || levels[operand] == SINGLE;
    }
    d->one_slot = levels[INPUTS] == STAYS_SINGLE;
    d->given_up = 1u << AXIS_G;
    for (int loop = 0; loop < LOOPS; loop++)
        if (OWN[INPUTS] & ~s->orders[order].whole[INPUTS] & 1u << loop)
            d->given_up |= 1u << AXES_OF[loop][0] | 1u << AXES_OF[loop][1];
    d->whole = d->stays[INPUTS] && (s->orders[order].whole[INPUTS] & IN_S);
}

static Tile tile_at(const Played *d, const int64_t *index) {
    Tile tile = {.unfinished = 0};
    for (int axis = 0; axis < AXES; axis++) (&tile.n)[axis] = size_at(&d->axes[axis], index[axis]);
    return tile;
}

static int64_t inputs_at(const Played *d, const int64_t *index, const Tile *z, bool without_halos) {
    const Problem *p = &d->s->problem;
    int64_t pixels = z->y * z->x;
    if (!p->pointwise) {
        int64_t from_y = index[AXIS_Y] * d->axes[AXIS_Y].size, from_x = index[AXIS_X] * d->axes[AXIS_X].size;
        int64_t rows = input_extent(&d->y, from_y, z->y), columns = input_extent(&d->x, from_x, z->x);
        if (without_halos) {
            rows -= input_overlap(&d->y, from_y);
            columns -= input_overlap(&d->x, from_x);
        }
        pixels = rows * columns;
    }
    return z->n * pixels * z->g * z->c * p->input_bits;
}

static int64_t elements_of(const Tile *z) { return z->n * z->y * z->x * z->g * z->k; }

/* Bits that leave when the sums of a tile are complete: its outputs, or the windows that it finishes. */
static int64_t finished_at(const Played *d, const int64_t *index, const Tile *z) {
    const Problem *p = &d->s->problem;
    int64_t windows = z->n * z->y * z->x;
    if (p->pool) {
        const Pooling *pooling = &d->s->pooling;
        int64_t y = index[AXIS_Y] * d->axes[AXIS_Y].size, x = index[AXIS_X] * d->axes[AXIS_X].size;
        windows = z->n * (finished_by(&pooling->y, y + z->y) - finished_by(&pooling->y, y)) *
                  (finished_by(&pooling->x, x + z->x) - finished_by(&pooling->x, x));
    }
    return windows * z->g * z->k * p->output_bits;
}

static int64_t weights_of(const Played *d, const Tile *z) {
    return moved_weights(d->s, z->g * z->k * z->c * taps_of(&d->s->problem));
}

/* Cycles of each memory's port in a step: beside the computing, and after it. */
typedef struct {
    double beside[OPERANDS], after[OPERANDS];
} Ports;

static double waited(const State *s, int operand, double bits) {
    double cycles = transfer_cycles(bits, s->rates->bytes_per_cycle[operand]);
    return cycles + s->rates->latency[operand] * (cycles > 0);
}

static inline void move(const Played *d, Ports *ports, int operand, int64_t bits, bool between) {
    if (bits <= 0) return;
    const State *s = d->s;
    int64_t memory = s->in->memory->home[operand];
    if (between || d->single[operand]) ports->after[memory] += waited(s, operand, (double)bits);
    else ports->beside[memory] += transfer_cycles((double)bits, s->rates->bytes_per_cycle[operand]);
}

enum {
    OF_INPUTS = 1 << AXIS_G | 1 << AXIS_N | 1 << AXIS_Y | 1 << AXIS_X | 1 << AXIS_C,
    OF_WEIGHTS = 1 << AXIS_G | 1 << AXIS_K | 1 << AXIS_C,
    OF_OUTPUTS = 1 << AXIS_G | 1 << AXIS_N | 1 << AXIS_Y | 1 << AXIS_X | 1 << AXIS_K
};

/* Bits that are stored of a tile that is left: finished outputs, or sums that do not stay. */
static int64_t stored_of(const Played *d, const int64_t *index) {
    Tile z = tile_at(d, index);
    if (index[AXIS_C] == d->axes[AXIS_C].end) return finished_at(d, index, &z);
    return d->stays[OUTPUTS] ? 0 : elements_of(&z) * d->s->problem.accumulator_bits;
}

/* What is loaded of the tile after a step, which moves on along axes *advances*. */
static void load(const Played *d, Ports *ports, const int64_t *after, unsigned advances) {
    const Problem *p = &d->s->problem;
    Tile z = tile_at(d, after);
    bool first_k = after[AXIS_K] == 0, first_pixels = !(after[AXIS_N] | after[AXIS_Y] | after[AXIS_X]);
    if ((advances & OF_INPUTS) && (!d->stays[INPUTS] || first_k))
        move(d, ports, INPUTS, inputs_at(d, after, &z, d->whole), d->one_slot && (advances & d->given_up));
    if ((advances & OF_WEIGHTS) && (!d->stays[WEIGHTS] || first_pixels))
        move(d, ports, WEIGHTS, weights_of(d, &z), false);
    if ((advances & OF_OUTPUTS) && after[AXIS_C] > 0 && !d->stays[OUTPUTS])
        move(d, ports, OUTPUTS, elements_of(&z) * p->accumulator_bits, false);
    if (p->second && after[AXIS_C] == d->axes[AXIS_C].end) /* with the last input channels of its outputs */
        move(d, ports, INPUTS, elements_of(&z) * p->second, d->one_slot);
}

/* Where the loops stand: indices of tiles, and axes along which the step before and the one after differ. */
typedef struct {
    int64_t digit[AXES], here[AXES], before[AXES], after[AXES];
    unsigned advanced, advances, last; /* last: axes along which the tile is the last */
    double weight;                     /* steps that this one stands for */
    bool is_last;
} Step;

/* What comes after: the innermost axis that is not at its end moves on, those inside begin again. */
static void look_ahead(const Played *d, Step *step) {
    int moving = d->depth - 1;
    step->advances = step->last = 0;
    step->weight = 1;
    memcpy(step->after, step->here, sizeof step->after);
    for (; moving >= 0; moving--) {
        int axis = d->cut[moving];
        bool at_end = step->here[axis] == d->axes[axis].end;
        step->advances |= 1u << axis;
        step->after[axis] = at_end ? 0 : step->here[axis] + 1;
        if (!at_end) break;
    }
    step->is_last = moving < 0;
    if (step->is_last) step->advances = 0;
    for (int at = 0; at < d->depth; at++) {
        int axis = d->cut[at];
        step->last |= (unsigned)(step->here[axis] == d->axes[axis].end) << axis;
        step->weight *= (double)weight_of(&d->axes[axis], step->digit[axis]);
    }
}

/* Go to the next step that is played. */
static void move_on(const Played *d, Step *step) {
    int at = d->depth - 1;
    for (; step->digit[d->cut[at]] == d->axes[d->cut[at]].count - 1; at--)
        step->digit[d->cut[at]] = step->here[d->cut[at]] = 0;
    int moved = d->cut[at];
    step->here[moved] = index_of(&d->axes[moved], ++step->digit[moved]);
    step->advanced = 0;
    memcpy(step->before, step->here, sizeof step->before);
    for (int inner = d->depth - 1; inner >= at; inner--) {
        int axis = d->cut[inner];
        step->advanced |= 1u << axis;
        step->before[axis] = step->here[axis] == 0 ? d->axes[axis].end : step->here[axis] - 1;
    }
}

static double cycles_of(const Played *d, const OnArray *array, const Step *step) {
    const Memory *memory = d->s->in->memory;
    Ports ports = {{0}, {0}};
    unsigned class = step->last & array->uneven;
    double compute = step->here[AXIS_C] == 0 ? array->begins[class] : array->cycles[class];
    /* With several memories, outputs in one slot are stored between their own step and the next. */
    bool own = memory->several && d->single[OUTPUTS];
    if (own && (step->advances & OF_OUTPUTS)) move(d, &ports, OUTPUTS, stored_of(d, step->here), false);
    if (!own && (step->advanced & OF_OUTPUTS)) move(d, &ports, OUTPUTS, stored_of(d, step->before), false);
    if (step->advances) load(d, &ports, step->after, step->advances);
    double cycles = 0;
    for (int64_t port = 0; port < memory->memories; port++)
        cycles = larger(cycles, larger(compute, ports.beside[port]) + ports.after[port]);
    return cycles;
}

/* Cycles of the first loads and the last store, which nothing overlaps. */
static double exposed_of(const Played *d) {
    const State *s = d->s;
    const Problem *p = &s->problem;
    int64_t first[AXES] = {0}, end[AXES];
    for (int axis = 0; axis < AXES; axis++) end[axis] = d->axes[axis].end;
    Tile z = tile_at(d, first), last = tile_at(d, end);
    int64_t inputs = inputs_at(d, first, &z, false);
    if (end[AXIS_C] == 0) inputs += elements_of(&z) * p->second;
    double loads[OPERANDS] = {0}, slowest = 0;
    loads[s->in->memory->home[INPUTS]] += waited(s, INPUTS, (double)inputs);
    loads[s->in->memory->home[WEIGHTS]] += waited(s, WEIGHTS, (double)(weights_of(d, &z) + p->constants));
    for (int64_t port = 0; port < s->in->memory->memories; port++) slowest = larger(slowest, loads[port]);
    return slowest + waited(s, OUTPUTS, (double)finished_at(d, end, &last));
}

/* Cycles of a tiling in a mode. */
double play(const State *s, const Tiling *t, const OnArray *array, int order, const int *levels) {
    Played d;
    prepare(&d, s, t, order, levels);
    Step step = {.advanced = 0};
    for (int axis = 0; axis < AXES; axis++) step.before[axis] = d.axes[axis].end;
    double steps = 0;
    for (;;) {
        look_ahead(&d, &step);
        steps += step.weight * cycles_of(&d, array, &step);
        if (step.is_last) break;
        move_on(&d, &step);
    }
    return s->rates->setup + exposed_of(&d) + steps;
}
