/* Units: what a tile costs on loops in space, where one operand stays in the PEs (`cost/dataflow/unit.py`).
 *
 * Loops in space cut a tile into blocks, which run one after the other, each for m cycles. With p(b) cycles
 * to preload block b and o(b) cycles in which its outputs leave:
 *
 *     outputs stay            m + Σ over all blocks but the last of max(m, o(b)) + o(last)
 *     weights, inputs stay    p(first) + Σ over blocks of max(m, o(b), p(next))
 *
 * A tile is cut into the blocks of the fewest cycles (`cost/dataflow/unit_blocks.py`). */

#include "kernel.h"

/* A loop cut into parts: `full` ones of `size` iterations, and one of `rest` unless that is 0. */
typedef struct {
    int64_t full, size, rest;
} Cut;

/* Parts of a nest, or blocks, that have as many iterations. */
typedef struct {
    int64_t count, size;
} Class;

/* Pairs of blocks, one after the other, that have as many iterations. */
typedef struct {
    int64_t count, before, after;
} Succession;

enum { LOOPS = 5, CLASSES = 1 << LOOPS, SUCCESSIONS = 2 * CLASSES };

/* Loops, the last one innermost. */
typedef struct {
    int loops;
    Cut cuts[LOOPS];
} Nest;

/* The loops of a tile on a unit: output pixels, groups, output channels, and what is summed up. */
typedef struct {
    Cut pixels[3]; /* n, y, x; or p */
    Cut g, k;
    Cut summed[3]; /* c, fy, fx; or c, t */
    bool unfinished; /* no outputs leave */
} Loops;

/* Blocks of kept × summed words that are preloaded. */
typedef struct {
    Nest kept, summed;
    int64_t m;    /* cycles of a block */
    int64_t made; /* outputs of an iteration of `kept` */
    bool unfinished;
} Preloaded;

static Cut cut_of(int64_t extent, int64_t by) {
    if (by == 1) return (Cut){extent, 1, 0};
    int64_t full = extent / by;
    return (Cut){full, by, extent - full * by};
}

static const Cut ONE = {1, 1, 0};

static int64_t parts_of(Cut cut) { return cut.full + (cut.rest > 0); }
static int64_t extent_of(Cut cut) { return cut.full * cut.size + cut.rest; }
static int64_t first_of(Cut cut) { return cut.full > 0 ? cut.size : cut.rest; }
static int64_t last_of(Cut cut) { return cut.rest > 0 ? cut.rest : cut.size; }

static Loops loops_of(const Problem *p, const Unit *u, const Tile *t) {
    Loops found = {
        .pixels = {cut_of(t->n, u->n), cut_of(t->y, u->y), cut_of(t->x, u->x)},
        .g = cut_of(t->g, u->g),
        .k = cut_of(t->k, u->k),
        .summed = {cut_of(t->c, u->c), cut_of(p->fy, u->fy), cut_of(p->fx, u->fx)},
        .unfinished = t->unfinished,
    };
    if (u->p > 1) {
        found.pixels[0] = cut_of(t->n * t->y * t->x, u->p);
        found.pixels[1] = found.pixels[2] = ONE;
    }
    if (u->t > 1) {
        found.summed[1] = cut_of(taps_of(p), u->t);
        found.summed[2] = ONE;
    }
    return found;
}

/* Blocks of three loops. */
static int64_t blocks_of(const Cut cuts[3]) {
    return parts_of(cuts[0]) * parts_of(cuts[1]) * parts_of(cuts[2]);
}

static int64_t count_of(const Nest *nest) {
    int64_t count = 1;
    for (int i = 0; i < nest->loops; i++) count *= parts_of(nest->cuts[i]);
    return count;
}

/* Iterations of the first block of the loops from `level` on. */
static int64_t first_block(const Nest *nest, int level) {
    int64_t size = 1;
    for (int i = level; i < nest->loops; i++) size *= first_of(nest->cuts[i]);
    return size;
}

/* Iterations of the last block of the loops from `level` on. */
static int64_t last_block(const Nest *nest, int level) {
    int64_t size = 1;
    for (int i = level; i < nest->loops; i++) size *= last_of(nest->cuts[i]);
    return size;
}

/* List the classes of blocks of so many loops, from the outermost on; return how many there are. */
static int classes_of(const Nest *nest, int loops, Class found[CLASSES]) {
    int classes = 1;
    found[0] = (Class){1, 1};
    for (int i = 0; i < loops; i++) {
        Cut cut = nest->cuts[i];
        int before = classes;
        for (int j = 0; j < before; j++) {
            Class outer = found[j];
            Class full = {outer.count * cut.full, outer.size * cut.size};
            Class rest = {outer.count, outer.size * cut.rest};
            found[j] = cut.full ? full : rest;
            if (cut.full && cut.rest) found[classes++] = rest;
        }
    }
    return classes;
}

/* List each kind of succession of two blocks; return how many there are. */
static int successions_of(const Nest *nest, Succession found[SUCCESSIONS]) {
    int kinds = 0;
    for (int level = 0; level < nest->loops; level++) {
        Cut cut = nest->cuts[level];
        if (parts_of(cut) == 1) continue;
        Class outer[CLASSES];
        int classes = classes_of(nest, level, outer);
        int64_t ended = last_block(nest, level + 1), begun = first_block(nest, level + 1);
        for (int i = 0; i < classes; i++) {
            int64_t count = outer[i].count, before = outer[i].size * ended, after = outer[i].size * begun;
            if (cut.full > 1)
                found[kinds++] = (Succession){count * (cut.full - 1), before * cut.size, after * cut.size};
            if (cut.rest) found[kinds++] = (Succession){count, before * cut.size, after * cut.rest};
        }
    }
    return kinds;
}

/* Cycles in which what stays arrives. */
static int64_t preload(const Unit *u, int64_t words) {
    return most(u->ports ? ceil_div(words, u->ports) : 0, u->preload);
}

/* Cycles in which outputs leave; none where their sums go on in the tile after. */
static int64_t leave(const Unit *u, bool unfinished, int64_t outputs) {
    return u->output_words && !unfinished ? ceil_div(outputs, u->output_words) : 0;
}

/* Cycles of a block: of its steps. */
static int64_t cycles_of_block(const Problem *p, const Unit *u, const Loops *l) {
    int64_t steps = parts_of(l->k);
    if (u->stationary != INPUTS_STAY) steps = blocks_of(u->stationary == OUTPUTS_STAY ? l->summed : l->pixels);
    return paced(p, steps * u->interval);
}

/* Cycles where outputs stay: those of all blocks leave beside the next one, of the last one alone. */
static int64_t outputs_stay(const Problem *p, const Unit *u, const Loops *l) {
    Nest nest = {5, {l->g, l->k, l->pixels[0], l->pixels[1], l->pixels[2]}};
    int64_t m = cycles_of_block(p, u, l);
    int64_t cycles = count_of(&nest) * m;
    if (!u->output_words || l->unfinished) return cycles;
    Class blocks[CLASSES];
    int classes = classes_of(&nest, nest.loops, blocks);
    for (int i = 0; i < classes; i++) cycles += blocks[i].count * most(leave(u, false, blocks[i].size) - m, 0);
    int64_t last = leave(u, false, last_block(&nest, 0));
    return cycles - most(last - m, 0) + last;
}

/* Cycles where blocks are preloaded: the first one alone, others beside the block before. Sums that a block
 * ends leave while it runs. */
static int64_t preloaded(const Unit *u, const Preloaded *of) {
    const Nest *kept = &of->kept, *summed = &of->summed;
    int64_t m = of->m, first = first_block(summed, 0);
    int64_t cycles = count_of(kept) * count_of(summed) * m + preload(u, first_block(kept, 0) * first);
    Class blocks[CLASSES];
    Succession within[SUCCESSIONS], between[SUCCESSIONS];
    int classes = classes_of(kept, kept->loops, blocks);
    int kinds = successions_of(summed, within);
    for (int i = 0; i < classes; i++)
        for (int j = 0; j < kinds; j++) {
            int64_t waiting = preload(u, blocks[i].size * within[j].after) - m;
            cycles += blocks[i].count * within[j].count * most(waiting, 0);
        }
    kinds = successions_of(kept, between);
    for (int j = 0; j < kinds; j++) {
        int64_t left = leave(u, of->unfinished, between[j].before * of->made), loaded = preload(u, between[j].after * first);
        cycles += between[j].count * most(most(left, loaded) - m, 0);
    }
    return cycles + most(leave(u, of->unfinished, last_block(kept, 0) * of->made) - m, 0);
}

static int64_t weights_stay(const Problem *p, const Unit *u, const Loops *l) {
    Preloaded of = {
        .kept = {2, {l->g, l->k}},
        .summed = {3, {l->summed[0], l->summed[1], l->summed[2]}},
        .m = cycles_of_block(p, u, l),
        .made = extent_of(l->pixels[0]) * extent_of(l->pixels[1]) * extent_of(l->pixels[2]),
        .unfinished = l->unfinished,
    };
    return preloaded(u, &of);
}

static int64_t inputs_stay(const Problem *p, const Unit *u, const Loops *l) {
    Preloaded of = {
        .kept = {4, {l->pixels[0], l->pixels[1], l->pixels[2], l->g}},
        .summed = {3, {l->summed[0], l->summed[1], l->summed[2]}},
        .m = cycles_of_block(p, u, l),
        .made = extent_of(l->k),
        .unfinished = l->unfinished,
    };
    return preloaded(u, &of);
}

/* Words: PEs read what stays from registers, sums of loops in space go from PE to PE.
 *
 * An operand is read from the buffer in each step, but not again where all loops that went on since are ones
 * that it does not have. What stays is read once for each block. */
static void accesses(const Problem *p, const Unit *u, const Tile *t, const Loops *l, double words[ACCESSES]) {
    int64_t parts = blocks_of(l->pixels), summed = blocks_of(l->summed);
    int64_t again = parts_of(l->k) * t->g * t->c * taps_of(p), once = t->g * t->c * taps_of(p);
    bool in_space = summed == 1; /* nothing is summed up in time */
    double pixels = (double)(t->n * t->y * t->x), weights = (double)(once * t->k);
    double macs = pixels * weights, inputs = pixels * (double)once;
    double outputs = pixels * (double)(t->g * t->k), sums = outputs * (double)summed;

    bool inputs_again = u->stationary != INPUTS_STAY && !(in_space && parts == 1);
    bool steady = u->stationary == OUTPUTS_STAY ? in_space : parts_of(l->g) * parts_of(l->k) * summed == 1;
    bool weights_again = u->stationary != WEIGHTS_STAY && !steady;
    bool stay = u->psums_stay && u->stationary != OUTPUTS_STAY;
    double leaving = stay || u->stationary == OUTPUTS_STAY ? outputs : sums;

    for (int i = 0; i < ACCESSES; i++) words[i] = 0.0;
    if (u->stationary == WEIGHTS_STAY) words[REGISTER_WEIGHTS] = macs + weights;
    if (u->stationary == INPUTS_STAY) words[REGISTER_INPUTS] = macs + inputs;
    if (u->stationary == OUTPUTS_STAY || stay) words[REGISTER_PSUMS] = 2.0 * sums;
    words[BETWEEN_PSUMS] = macs - sums;
    words[BUFFER_INPUTS] = inputs_again ? pixels * (double)again : inputs;
    words[BUFFER_WEIGHTS] = weights_again ? (double)parts * weights : weights;
    words[BUFFER_PSUMS] = l->unfinished ? 0 : leaving;
}

static int64_t cycles_of(const Problem *p, const Unit *u, const Loops *l) {
    if (u->stationary == OUTPUTS_STAY) return outputs_stay(p, u, l);
    return u->stationary == WEIGHTS_STAY ? weights_stay(p, u, l) : inputs_stay(p, u, l);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

enum { MOST_CUTS = 7, EACH = 16 };

/* Blocks that are tried, and the best of them. */
typedef struct {
    const Problem *problem;
    const Unit *unit;
    Loops loops;
    int cuts;
    Cut *cut[MOST_CUTS];           /* of `loops`, those that make blocks; the outermost first */
    int64_t fewest[MOST_CUTS + 1]; /* blocks of a loop and all further in, on all of the unit */
    int64_t m;                     /* cycles of a block */
    int64_t cycles, count;         /* of the best */
    Loops best;
} Blocks;

/* The blocks of a tile on all of a unit. */
static void blocks_init(Blocks *b, const Problem *p, const Unit *u, const Tile *t) {
    *b = (Blocks){.problem = p, .unit = u, .loops = loops_of(p, u, t)};
    Loops *l = &b->loops;
    if (u->stationary != INPUTS_STAY) {
        b->cut[b->cuts++] = &l->g;
        b->cut[b->cuts++] = &l->k;
    }
    if (u->stationary != WEIGHTS_STAY)
        for (int i = 0; i < 3; i++) b->cut[b->cuts++] = &l->pixels[i];
    if (u->stationary == INPUTS_STAY) b->cut[b->cuts++] = &l->g;
    if (u->stationary != OUTPUTS_STAY)
        for (int i = 0; i < 3; i++) b->cut[b->cuts++] = &l->summed[i];
    b->fewest[b->cuts] = 1;
    for (int at = b->cuts - 1; at >= 0; at--) b->fewest[at] = b->fewest[at + 1] * parts_of(*b->cut[at]);
    b->m = cycles_of_block(p, u, l);
    b->count = b->fewest[0];
}

bool unit_chooses(const Unit *u) {
    bool preloads = u->stationary != OUTPUTS_STAY && (u->ports || u->preload);
    return u->blocks != WHOLE_BLOCKS && (u->output_words || preloads);
}

/* Cycles that no blocks fall below, but for the latency. */
static int64_t least_of(const Blocks *b) {
    const Unit *u = b->unit;
    const Loops *l = &b->loops;
    int64_t outputs = extent_of(l->g) * extent_of(l->k), words = 1, count = b->fewest[0];
    for (int i = 0; i < 3; i++) outputs *= extent_of(l->pixels[i]);
    int64_t leaving = leave(u, l->unfinished, outputs);
    if (u->stationary == OUTPUTS_STAY) return most(count * b->m + (leaving > 0), b->m + leaving);
    for (int at = 0; at < b->cuts; at++) words *= extent_of(*b->cut[at]);
    int64_t least = most(u->preload, u->ports > 0), arriving = u->ports ? ceil_div(words, u->ports) : 0;
    int64_t waiting = least + (count - 1) * most(b->m, least) + b->m;
    return most(most(waiting, b->m + arriving), least + leaving);
}

/* The next smaller number of iterations that a block may have along a loop. */
static int64_t smaller(int64_t size) { return size > EACH ? (size - 1) / 8 * 8 : size - 1; }

/* Try all blocks along the loops from *at* on, of *count* parts of those further out. */
static void try_blocks(Blocks *b, int at, int64_t count) {
    if (at == b->cuts) {
        int64_t cycles = cycles_of(b->problem, b->unit, &b->loops);
        if (cycles > b->cycles || (cycles == b->cycles && count >= b->count)) return;
        b->cycles = cycles;
        b->count = count;
        b->best = b->loops;
        return;
    }
    const Cut whole = *b->cut[at];
    const int64_t extent = extent_of(whole);
    for (int64_t size = whole.size, tried = 0; size > 0; size = smaller(size)) {
        int64_t parts = ceil_div(extent, size);
        if (parts == 1 && tried) continue;
        if (b->unit->blocks == AS_MANY_BLOCKS && parts > parts_of(whole)) break;
        if (count * parts * b->fewest[at + 1] * b->m >= b->cycles) break;
        tried = size;
        *b->cut[at] = cut_of(extent, size);
        try_blocks(b, at + 1, count * parts);
    }
    *b->cut[at] = whole;
}

/* Cut a tile into the blocks of the fewest cycles, of equal ones the fewest; return these cycles. */
static int64_t choose_blocks(const Problem *p, const Unit *u, const Tile *t, Loops *loops) {
    *loops = loops_of(p, u, t);
    const int64_t whole = cycles_of(p, u, loops);
    if (!unit_chooses(u)) return whole;
    Blocks b;
    blocks_init(&b, p, u, t);
    if (whole == least_of(&b)) return whole;
    b.cycles = whole;
    b.best = *loops;
    try_blocks(&b, 0, 1);
    *loops = b.best;
    return b.cycles;
}

double unit_least(const Problem *p, const Unit *u, const Tile *t) {
    Blocks b;
    blocks_init(&b, p, u, t);
    return (double)(least_of(&b) + u->latency);
}

void unit_tile(const Problem *p, const Unit *u, const Tile *t, TileCost *cost) {
    Loops loops;
    cost->cycles = choose_blocks(p, u, t, &loops) + u->latency;
    accesses(p, u, t, &loops, cost->words);
}

/* ---- closed forms ------------------------------------------------------------------------------------------------ */

void unit_pixels(const Problem *p, const Unit *u, const Sides *sides, Terms *terms) {
    double (*found)[TOGETHER] = terms->of;
    for (int64_t at = 0; at < sides->count; at++) {
        const Loops loops = loops_of(p, u, &(Tile){sides->a, sides->b, sides->c[at], 1, 1, 1, 0});
        const int64_t parts = blocks_of(loops.pixels);
        const Nest pixels = {3, {loops.pixels[0], loops.pixels[1], loops.pixels[2]}};
        found[UNIT_PARTS][at] = (double)parts;
        found[UNIT_STREAM][at] = (double)(u->stationary == WEIGHTS_STAY ? paced(p, parts * u->interval) : parts);
        found[UNIT_PIXELS][at] = (double)(sides->a * sides->b * sides->c[at]);
        found[UNIT_FIRST_PIXELS][at] = (double)first_block(&pixels, 0);
    }
}

/* Cycles of a part of the pixels; where weights stay, blocks. */
static int64_t cycles_of_part(const Problem *p, const Unit *u, const Loops *l) {
    int64_t groups = parts_of(l->g), filters = parts_of(l->k), summed = blocks_of(l->summed);
    if (u->stationary == OUTPUTS_STAY) return groups * filters * paced(p, summed * u->interval);
    if (u->stationary == INPUTS_STAY) return groups * summed * paced(p, filters * u->interval);
    return groups * filters * summed;
}

/* Cycles to preload all blocks. */
static int64_t preloads_of(const Unit *u, const Loops *l) {
    const Nest nest = {5, {l->g, l->k, l->summed[0], l->summed[1], l->summed[2]}};
    Class blocks[CLASSES];
    int64_t cycles = 0;
    int classes = classes_of(&nest, nest.loops, blocks);
    for (int i = 0; i < classes; i++) cycles += blocks[i].count * preload(u, blocks[i].size);
    return cycles;
}

void unit_channels(const Problem *p, const Unit *u, const Sides *sides, Terms *terms) {
    const bool weights = u->stationary == WEIGHTS_STAY;
    double (*found)[TOGETHER] = terms->of;
    for (int64_t at = 0; at < sides->count; at++) {
        const Loops l = loops_of(p, u, &(Tile){1, 1, 1, sides->a, sides->b, sides->c[at], 0});
        const Nest summed = {3, {l.summed[0], l.summed[1], l.summed[2]}};
        const int64_t first = first_of(l.g) * first_block(&summed, 0) * (weights ? first_of(l.k) : 1);
        found[UNIT_CYCLES][at] = (double)cycles_of_part(p, u, &l);
        found[UNIT_BLOCKS][at] = (double)(parts_of(l.g) * blocks_of(l.summed));
        found[UNIT_INPUTS][at] = (double)(sides->a * sides->c[at] * taps_of(p));
        /* Where sums wait in the array, only the last tile along c lets outputs leave. */
        found[UNIT_OUTPUTS][at] = u->accumulates && sides->c[at] < p->c ? 0 : (double)(sides->a * sides->b);
        int64_t exposed = weights ? preload(u, first) : u->preload, preloads = weights ? preloads_of(u, &l) : 0;
        if (unit_chooses(u) && weights) { /* a block may be a word */
            int64_t blocks = parts_of(l.g) * parts_of(l.k) * blocks_of(l.summed);
            int64_t words = sides->a * sides->b * sides->c[at] * taps_of(p);
            exposed = most(u->preload, u->ports > 0);
            preloads = most(blocks * exposed, u->ports ? ceil_div(words, u->ports) : 0);
        }
        found[UNIT_FIRST][at] = (double)(unit_chooses(u) ? 0 : first);
        found[UNIT_PRELOADS][at] = (double)preloads;
        found[UNIT_EXPOSED][at] = (double)exposed;
        found[UNIT_LATENCY][at] = (double)u->latency;
    }
}
