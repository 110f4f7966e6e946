/* Weight stationary: what a tile costs, and which blocks of weights it is cut into (`cost/dataflow/ws.py`).
 *
 * A block of r × s weights stays in the PEs while all pixels of the tile pass it in `stream` cycles; the next
 * one is preloaded beside it. The block of the remainders comes first, and nothing overlaps its preload:
 *
 *     cycles = preload(first) + stream + Σ over the other blocks max(stream, preload) + blocks · swap
 *            = min(preload(first), stream) + Σ over all blocks max(stream, preload) + blocks · swap
 *
 * and r + s - 2 if the array is systolic. Tiles that wait for preloads, and those of systolic arrays, take the r
 * and s of the fewest cycles, of equal ones of the fewest words, then the first that `_block_sizes` lists; where
 * the fewest words come first, of those that move as many as the whole array. The search goes through the same list in another order, and leaves out
 * blocks that a bound rules out. */

#include "kernel.h"

/* The weights of a tile, and what all ways to cut them into blocks share. */
typedef struct {
    int64_t copies;               /* taps · groups; each has rows · cols weights */
    int64_t rows, cols;           /* of the array that all input and output channels take */
    int64_t most_high, most_wide; /* of a block as large as the array */
    int64_t stream;               /* cycles in which the pixels pass a block */
    int64_t swap, ports;
    int64_t systolic; /* boolean: the way through the array counts */
    int64_t words;    /* that are moved at most for each tap, group and pixel */
} Weights;

/* How rows of a block are preloaded: so many at once, in so many cycles; 0 where they have no columns. */
typedef struct {
    int64_t rows_at_once, cycles;
} Load;

/* Output channels cut into blocks of `wide` columns: `full` ones, and one of `edge` unless that is 0. */
typedef struct {
    int64_t wide, full, edge;
    int64_t folds; /* blocks along the columns */
    Load of_full, of_edge, of_last;
    int64_t preloads; /* cycles to preload all blocks at least (`least_preloads`) */
} Columns;

/* Parts of the list of `_block_sizes`, each in the order of columns, then of rows. */
enum { WHOLE, ALL_ROWS, HIDDEN_ROWS, MULTIPLES, MULTIPLES_OF_EDGE };

/* Blocks, by what they are compared: the first entry that differs decides. */
typedef struct {
    int64_t cycles, words, place, wide, high;
    int64_t folds_c, folds_k;
} Blocks;

/* Rows of blocks as multiples of `step`: those that are loaded at once. */
typedef struct {
    int64_t step, place;
} Steps;

/* max(⌊ports / columns⌋, 1) rows at once, in ⌈columns / ports⌉ cycles. */
static Load load_of(int64_t cols, int64_t ports) {
    if (cols > ports) return (Load){1, ceil_div(cols, ports)};
    return (Load){ports / most(cols, 1), cols > 0};
}

/* Cycles to preload a block of so many rows. */
static int64_t preload(int64_t rows, Load load) {
    if (load.rows_at_once == 1) return rows * load.cycles;
    return ceil_div(rows, load.rows_at_once) * load.cycles;
}

/* Rows of the array that so many input channels take. */
static inline int64_t rows_of(const Problem *p, const Array *a, int64_t c) {
    if (!a->structured || p->block_size <= 1) return c;
    return c / p->block_size * p->block_kept + least(c % p->block_size, p->block_kept);
}

static Weights weights_of(const Problem *p, const Array *a, const Tile *t) {
    int64_t rows = rows_of(p, a, t->c);
    return (Weights){
        .copies = taps_of(p) * t->g,
        .rows = rows,
        .cols = t->k,
        .most_high = least(rows, a->rows),
        .most_wide = least(t->k, a->cols),
        .stream = paced(p, t->n * t->y * t->x),
        .swap = a->weight_swap,
        .ports = a->ports,
        .systolic = a->systolic,
        .words = INT64_MAX,
    };
}

static Columns columns_of(const Weights *w, int64_t wide) {
    Columns c = {.wide = wide, .full = w->cols / wide};
    c.edge = w->cols - c.full * wide;
    c.folds = c.full + (c.edge > 0);
    c.of_full = load_of(wide, w->ports);
    c.of_edge = load_of(c.edge, w->ports);
    c.of_last = c.edge ? c.of_edge : c.of_full;
    return c;
}

/* Cycles to preload all blocks of these columns at least, as if all rows were one block. */
static int64_t least_preloads(const Weights *w, const Columns *c) {
    return w->copies * (c->full * preload(w->rows, c->of_full) + preload(w->rows, c->of_edge));
}

/* Σ of max(stream, preload) over the blocks of so many rows of a tap and group. */
static int64_t passed(const Weights *w, const Columns *c, int64_t rows) {
    int64_t cycles = c->full * most(w->stream, preload(rows, c->of_full));
    return c->edge ? cycles + most(w->stream, preload(rows, c->of_edge)) : cycles;
}

/* Inputs read, sums read and written for each tap, group and pixel. */
static int64_t words_of(const Weights *w, const Columns *c, int64_t folds) {
    return c->folds * w->rows + 2 * folds * w->cols;
}

/* Cycles of the way through a systolic array. */
static int64_t skew(const Weights *w, int64_t high, int64_t wide) {
    return w->systolic ? high + wide - 2 : 0;
}

/* Blocks of these columns and so many rows. */
static Blocks blocks_of(const Weights *w, const Columns *c, int64_t high, int64_t place) {
    int64_t full = w->rows / high, edge = w->rows - full * high, folds = full + (edge > 0);
    int64_t all = full * passed(w, c, high) + (edge ? passed(w, c, edge) : 0);
    int64_t first = least(w->stream, preload(edge ? edge : high, c->of_last));
    return (Blocks){
        .cycles = first + w->copies * (all + folds * c->folds * w->swap) + skew(w, high, c->wide),
        .words = words_of(w, c, folds),
        .place = place,
        .wide = c->wide,
        .high = high,
        .folds_c = folds,
        .folds_k = c->folds,
    };
}

/* Whether blocks are taken rather than other ones. */
static bool is_better(const Blocks *one, const Blocks *other) {
    if (one->cycles != other->cycles) return one->cycles < other->cycles;
    if (one->words != other->words) return one->words < other->words;
    if (one->place != other->place) return one->place < other->place;
    if (one->wide != other->wide) return one->wide < other->wide;
    return one->high < other->high;
}

/* Whether blocks that cost so much at least can be taken rather than other ones. */
static bool can_be_better(const Weights *w, const Blocks *bound, const Blocks *best) {
    return bound->words <= w->words && is_better(bound, best);
}

static void consider(const Weights *w, Blocks found, Blocks *best) {
    if (can_be_better(w, &found, best)) *best = found;
}

/* What blocks of these columns, of `low` rows or more and so many folds of the rows or more, cost at least:
 *
 *     cycles >= max(stream + preloads of all rows as one block, blocks · stream) + blocks · swap + skew */
static Blocks least_of(const Weights *w, const Columns *c, int64_t low, int64_t folds, int64_t place) {
    int64_t blocks = w->copies * folds * c->folds;
    return (Blocks){
        .cycles = most(c->preloads + w->stream, blocks * w->stream) + blocks * w->swap + skew(w, low, c->wide),
        .words = words_of(w, c, folds),
        .place = place,
        .wide = c->wide,
    };
}

/* Cycles that pixels take longer than preloads of blocks of the same columns, at least: `full` ones have up
 * to `high` rows, the last one up to `edge`. */
static int64_t least_waiting(int64_t stream, Load load, int64_t full, int64_t high, int64_t edge) {
    return full * most(stream - preload(high, load), 0) + most(stream - preload(edge, load), 0);
}

/* Cycles of blocks of `low` to `high` rows at least, where any of them are so many folds of the rows:
 *
 *     min(preload(first), stream) + Σ over all blocks (preload + max(stream − preload, 0)) + blocks · swap */
static int64_t least_between(const Weights *w, const Columns *c, int64_t folds, int64_t low, int64_t high) {
    int64_t full = folds - 1, edge = w->rows - full * low;
    int64_t waiting = c->full * least_waiting(w->stream, c->of_full, full, high, edge);
    if (c->edge) waiting += least_waiting(w->stream, c->of_edge, full, high, edge);
    int64_t first = least(w->stream, preload(w->rows - full * high, c->of_last));
    const int64_t swaps = w->copies * folds * c->folds * w->swap;
    return first + c->preloads + w->copies * waiting + swaps + skew(w, low, c->wide);
}

/* Consider blocks of `low` to `high` steps of rows, half by half, where a bound does not rule them out. */
static void consider_between(
    const Weights *w, const Columns *c, Steps steps, int64_t low, int64_t high, Blocks *best
) {
    if (low > high) return;
    int64_t folds = ceil_div(w->rows, high * steps.step);
    Blocks bound = least_of(w, c, low * steps.step, folds, steps.place);
    bound.high = low * steps.step;
    if (!can_be_better(w, &bound, best)) return;
    if (low == high) {
        consider(w, blocks_of(w, c, high * steps.step, steps.place), best);
        return;
    }
    if (folds == ceil_div(w->rows, low * steps.step)) {
        bound.cycles = most(bound.cycles, least_between(w, c, folds, low * steps.step, high * steps.step));
        if (!is_better(&bound, best)) return;
    }
    int64_t middle = low + (high - low) / 2;
    consider_between(w, c, steps, middle + 1, high, best); /* fewer words */
    consider_between(w, c, steps, low, middle, best);
}

/* The next columns below of blocks that can be the best (`_columns`): a multiple of the ports, or ⌊ports/i⌋;
 * 0: there are none. */
static int64_t narrower(const Weights *w, int64_t wide) {
    if (w->systolic) return wide - 1;
    if (wide > w->ports) return (wide - 1) / w->ports * w->ports;
    return w->ports / (w->ports / wide + 1);
}

/* The most rows whose preload is not waited for. */
static int64_t hidden_rows(const Weights *w, const Columns *c) {
    int64_t rows = w->stream / c->of_full.cycles * c->of_full.rows_at_once;
    return most(least(rows, w->most_high), 1);
}

/* Consider blocks of as many rows as the array has, and of the most whose preload is hidden. Return whether
 * blocks of other rows can take fewer cycles. */
static bool choose_columns(const Weights *w, int64_t folds, Blocks *best) {
    int64_t preloads = w->copies * ceil_div(w->rows * w->cols, w->ports), fewest = INT64_MAX;
    for (int64_t wide = w->most_wide; wide > 0; wide = narrower(w, wide)) {
        /* Were all ports always in use, fewer columns would have no fewer cycles and words but for the way. */
        Columns c = {.folds = ceil_div(w->cols, wide), .preloads = preloads, .wide = 1};
        Blocks bound = least_of(w, &c, 1, folds, ALL_ROWS);
        bound.wide = 0;
        if (!can_be_better(w, &bound, best)) break;
        c = columns_of(w, wide);
        c.preloads = least_preloads(w, &c);
        bound = least_of(w, &c, 1, folds, ALL_ROWS);
        if (!can_be_better(w, &bound, best)) continue;
        fewest = least(fewest, bound.cycles);
        consider(w, blocks_of(w, &c, w->most_high, ALL_ROWS), best);
        consider(w, blocks_of(w, &c, hidden_rows(w, &c), HIDDEN_ROWS), best);
    }
    return fewest <= best->cycles;
}

/* Consider blocks of other rows, of columns that can take as few cycles as what `choose_columns` chose. */
static void choose_rows(const Weights *w, int64_t folds, Blocks *best) {
    int64_t cycles = best->cycles;
    for (int64_t wide = w->most_wide; wide > 0; wide = narrower(w, wide)) {
        Columns c = columns_of(w, wide);
        c.preloads = least_preloads(w, &c);
        const Blocks bound = least_of(w, &c, 1, folds, MULTIPLES);
        if (bound.words > w->words || bound.cycles > cycles) continue;
        int64_t hidden = w->systolic ? 0 : hidden_rows(w, &c), last = w->most_high - 1;
        int64_t step = w->systolic ? 1 : c.of_full.rows_at_once;
        consider_between(w, &c, (Steps){step, MULTIPLES}, hidden / step + 1, last / step, best);
        if (w->systolic) continue;
        step = c.of_edge.rows_at_once;
        consider_between(w, &c, (Steps){step, MULTIPLES_OF_EDGE}, hidden / step + 1, last / step, best);
    }
}

/* The best blocks of a tile, of `whole` ones and all others (`_block_sizes`). */
static Blocks best_of(Weights *w, Blocks whole, bool moves_least) {
    Blocks best = whole;
    if (moves_least) w->words = whole.words;
    if (choose_columns(w, whole.folds_c, &best)) choose_rows(w, whole.folds_c, &best);
    return best;
}

void ws_tile(const Problem *p, const Array *a, const Tile *t, TileCost *cost) {
    Weights w = weights_of(p, a, t);
    Columns c = columns_of(&w, w.most_wide);
    Blocks blocks = blocks_of(&w, &c, w.most_high, WHOLE);
    if (a->chooses_blocks && (a->systolic || w.stream < preload(w.most_high, c.of_full)))
        blocks = best_of(&w, blocks, a->moves_least);

    double pixels = (double)(t->n * t->y * t->x), taps = (double)taps_of(p);
    double held = (double)(t->g * t->k * w.rows), slices = (double)(t->g * t->k * t->c);
    double macs = pixels * held * taps, read = pixels * (double)(w.copies * t->c * blocks.folds_k);
    *cost = (TileCost){
        .cycles = blocks.cycles,
        .words = {
            [REGISTER_WEIGHTS] = macs + held * taps,
            [BETWEEN_PSUMS] = macs,
            [BETWEEN_INPUTS] = a->systolic ? pixels * slices * taps - read : 0.0,
            [BUFFER_INPUTS] = read,
            [BUFFER_WEIGHTS] = slices * taps,
            [BUFFER_PSUMS] = pixels * (double)(w.copies * blocks.folds_c * w.cols),
        },
    };
}

double ws_least(const Problem *p, const Array *a, const Tile *t) {
    Weights w = weights_of(p, a, t);
    int64_t folds_c = ceil_div(w.rows, w.most_high), folds_k = ceil_div(w.cols, w.most_wide);
    int64_t rows = w.rows - (folds_c - 1) * w.most_high, cols = w.cols - (folds_k - 1) * w.most_wide;
    Columns c = {.wide = 1, .folds = folds_k, .preloads = w.copies * ceil_div(w.rows * w.cols, w.ports)};
    int64_t blocks = w.copies * folds_c * folds_k;
    /* More blocks than those of the whole array take a preload and the stream once more at least. */
    int64_t first = least(preload(rows, load_of(cols, w.ports)), 1 + w.stream);
    return (double)most(least_of(&w, &c, 1, folds_c, WHOLE).cycles, blocks * (w.stream + w.swap) + first);
}

void ws_pixels(const Problem *p, const Array *a, const Sides *sides, Terms *terms) {
    double longest = (double)most(a->rows * ceil_div(a->cols, a->ports) - 1, 1);
    for (int64_t at = 0; at < sides->count; at++) {
        double stream = (double)paced(p, sides->a * sides->b * sides->c[at]);
        terms->of[WS_STREAM][at] = stream;
        terms->of[WS_SHARE][at] = a->chooses_blocks ? lesser(stream / longest, 1.0) : 1.0;
    }
}

/* Cycles to preload a block of so many rows. */
static inline double preload_of(double rows, Load load, Divisor rows_at_once) {
    return over_up(rows, rows_at_once) * (double)load.cycles;
}

void ws_channels(const Problem *p, const Array *a, const Sides *sides, Terms *terms) {
    const int64_t folds_k = ceil_div(sides->b, a->cols), cols = sides->b - (folds_k - 1) * a->cols;
    const Load full = load_of(a->cols, a->ports), last = load_of(cols, a->ports);
    const Divisor by_rows = divisor_of(a->rows), by_ports = divisor_of(a->ports);
    const Divisor of_full = divisor_of(full.rows_at_once), of_last = divisor_of(last.rows_at_once);
    const double copies = (double)(taps_of(p) * sides->a), k = (double)sides->b, others = (double)(folds_k - 1);
    const double high = (double)a->rows, swap = (double)a->weight_swap;
    const double of_all = others * preload_of(high, full, of_full) + preload_of(high, last, of_last);
    double all[TOGETHER];
    for (int64_t at = 0; at < sides->count; at++) all[at] = (double)rows_of(p, a, sides->c[at]);
    for (int64_t at = 0; at < sides->count; at++) {
        const double folds = over_up(all[at], by_rows), rows = all[at] - (folds - 1) * high;
        const double blocks = copies * folds * (double)folds_k, first = preload_of(rows, last, of_last);
        double preloads;
        if (a->chooses_blocks) preloads = larger(copies * over_up(all[at] * k, by_ports), blocks);
        else preloads = copies * ((folds - 1) * of_all + others * preload_of(rows, full, of_full) + first);
        terms->of[WS_BLOCKS][at] = blocks;
        terms->of[WS_SWAPS][at] = blocks * swap;
        terms->of[WS_PRELOADS][at] = preloads + blocks * swap;
        terms->of[WS_FIRST][at] = first;
    }
}
