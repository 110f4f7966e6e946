/* Output stationary: what a tile costs on the array, exactly as cost/dataflow/os.py defines it.
 *
 *     cycles = stream + preload + waiting + drain of the last block and chunk
 *              [+ rows + columns used - 2 if systolic]
 *
 * os.py, os_blocks.py and os_use.py explain the terms; the names are theirs. The fastest use of the array is
 * that of `fastest`: the fewest cycles, of equal ones the whole array, then the fewest words moved, then the
 * fewest sums of a chunk, pixels, columns and rows. Of windows all rows, columns and chunks are candidates,
 * of matrix products those of `_steps` and `_lines`. A candidate is left out only if a bound is above the
 * best that was found, so the order in which they are tried does not matter.
 */

#include "kernel.h"

#include <math.h>

/* Rows and columns of a full block, its pixels, and partial sums of a full chunk. */
typedef struct {
    int64_t rows, cols, pixels, words;
} Used;

/* A tile with what all of its uses share. */
typedef struct {
    const Problem *p;
    const Array *a;
    int64_t n, y, x, g, k, c;
    int64_t least, larger;      /* weights of a smaller slice that pass; slices of one more */
    int64_t slices, rest;       /* of the layer, and how many of them have one more */
    double density;             /* larger slices of an output channel */
    int64_t passed;             /* weights that pass, of all slices */
    int64_t stream;             /* cycles at least in which they do */
    int64_t step[2], extent[2]; /* positions of a window for another output and for one, along y and x */
    bool paced;
} Work;

/* Blocks by class: along each axis one or more are full (0) and one, at the edge (1), may hold less. The
 * pixels of a matrix product stand as one row of blocks. */
typedef struct {
    int64_t images, rows[2], columns[2];
    int64_t words[2][2];   /* inputs of one channel in a window */
    int64_t preload[2][2]; /* cycles of one window */
    int64_t drain[2][2];   /* cycles of one output channel */
} Blocks;

/* Items of a tile by kind, with what they have of larger slices. */
typedef struct {
    int64_t several;      /* chunks of a group before its last */
    int64_t last_chunk;   /* output channels of the last one */
    int64_t before, last; /* larger slices of all chunks before the last ones, and of the last ones */
} Dealt;

/* Equal items: how many, and cycles of the weights of each. */
typedef struct {
    int64_t count, stream;
} Items;

/* floor(a b / c) where the quotient, though not the product, has 63 bits. */
static int64_t share(int64_t a, int64_t b, int64_t c) {
    int64_t product;
    if (!__builtin_mul_overflow(a, b, &product)) return product / c;
    __extension__ typedef __int128 Wide;
    return (int64_t)((Wide)a * b / c);
}

/* The same, rounded up. */
static int64_t share_up(int64_t a, int64_t b, int64_t c) {
    const int64_t down = share(a, b, c);
    return down + ((uint64_t)a * (uint64_t)b != (uint64_t)down * (uint64_t)c);
}

static int64_t paced_of(const Work *w, int64_t macs) { return w->paced ? paced(w->p, macs) : macs; }

/* Take other channels of the same problem. */
static void take_channels(Work *w, int64_t g, int64_t k, int64_t c) {
    const int64_t slices = g * k * c;
    w->g = g;
    w->k = k;
    w->c = c;
    w->larger = w->rest ? share_up(slices, w->rest, w->slices) : 0; /* balanced_nonzeros */
    w->passed = slices * w->least + w->larger;
}

static Work work_of(const Problem *p, const Array *a, const Tile *t) {
    Work w = {.p = p, .a = a, .n = t->n, .y = t->y, .x = t->x, .slices = p->g * p->k * p->c};
    w.paced = p->macs_at_once != p->cycles_at_once;
    w.least = taps_of(p);
    if (a->os_skips) {
        const int64_t each = p->nonzeros / w.slices;
        w.least = most(each, 1);
        w.rest = each ? p->nonzeros % w.slices : 0;
    }
    take_channels(&w, t->g, t->k, t->c);
    w.density = (double)w.larger / (double)(t->g * t->k);
    w.stream = paced_of(&w, w.passed);
    w.extent[0] = (p->fy - 1) * p->dy + 1;
    w.extent[1] = (p->fx - 1) * p->dx + 1;
    w.step[0] = least(p->sy, w.extent[0]);
    w.step[1] = least(p->sx, w.extent[1]);
    return w;
}

/* Input positions that a run of outputs makes a window hold along an axis (`window_extent`). */
static int64_t window(const Work *w, int axis, int64_t outputs) {
    return (outputs - 1) * w->step[axis] + w->extent[axis];
}

/* Cycles in which a channel of so many pixels leaves in lines of so many columns. */
static int64_t lines_of(int64_t pixels, int64_t cols, int64_t ports) {
    return pixels / cols * ceil_div(cols, ports) + ceil_div(pixels % cols, ports);
}

/* Σ over all blocks. */
static int64_t total(const Blocks *b, const int64_t values[2][2]) {
    const int64_t full = b->columns[0] * values[0][0] + b->columns[1] * values[0][1];
    const int64_t edge = b->columns[0] * values[1][0] + b->columns[1] * values[1][1];
    return b->images * (b->rows[0] * full + b->rows[1] * edge);
}

static int64_t last_of(const Blocks *b, const int64_t values[2][2]) {
    return values[b->rows[1]][b->columns[1]];
}

/* Drain of the block before the last, if there is one. */
static int64_t before_last(const Blocks *b) {
    if (b->columns[0] + b->columns[1] > 1) return b->drain[b->rows[1]][0];
    return b->rows[0] + b->rows[1] > 1 ? b->drain[0][b->columns[1]] : last_of(b, b->drain);
}

static int64_t count_of(const Blocks *b) {
    return b->images * (b->rows[0] + b->rows[1]) * (b->columns[0] + b->columns[1]);
}

static Blocks blocks_of(const Work *w, const Used *use) {
    const int64_t ports = w->a->ports;
    Blocks b = {.images = w->n};
    if (w->p->pointwise) { /* it fills the array line by line */
        const int64_t edge = w->x % use->pixels, held[2] = {use->pixels, edge};
        b.rows[0] = 1;
        b.columns[0] = w->x / use->pixels;
        b.columns[1] = edge > 0;
        for (int x = 0; x <= (edge > 0); x++) {
            b.words[0][x] = held[x];
            b.preload[0][x] = ceil_div(held[x], ports);
            b.drain[0][x] = lines_of(held[x], use->cols, ports);
        }
        return b;
    }
    const int64_t edge_y = w->y % use->rows, edge_x = w->x % use->cols;
    const int64_t high[2] = {use->rows, edge_y}, wide[2] = {use->cols, edge_x};
    b.rows[0] = w->y / use->rows;
    b.rows[1] = edge_y > 0;
    b.columns[0] = w->x / use->cols;
    b.columns[1] = edge_x > 0;
    for (int x = 0; x <= (edge_x > 0); x++) {
        const int64_t line = ceil_div(wide[x], ports), across = window(w, 1, wide[x]);
        for (int y = 0; y <= (edge_y > 0); y++) {
            b.words[y][x] = window(w, 0, high[y]) * across;
            b.preload[y][x] = ceil_div(b.words[y][x], ports);
            b.drain[y][x] = high[y] * line;
        }
    }
    return b;
}

static Dealt dealt_of(const Work *w, int64_t words) {
    Dealt d = {.several = ceil_div(w->k, words) - 1};
    d.last_chunk = w->k - d.several * words;
    d.last = w->larger ? share(w->larger, d.last_chunk, w->k) : 0;
    d.before = w->larger - d.last;
    return d;
}

/* Cycles in which the weights of an item pass; `larger` of its slices are dealt evenly over its windows. */
static int64_t cycles_of(const Work *w, int64_t channels, int64_t larger) {
    if (!w->paced) return w->c * w->least * channels + larger;
    const int64_t weights = w->least * channels + larger / w->c, more = larger % w->c;
    return (w->c - more) * paced_of(w, weights) + more * paced_of(w, weights + 1);
}

/* The two kinds of `count` items with `larger` slices in all, `fewest` in any. */
static void split(const Work *w, int64_t channels, int64_t count, int64_t larger, int64_t fewest,
                  Items found[2]) {
    const int64_t more = larger - count * fewest;
    found[0] = (Items){count - more, cycles_of(w, channels, fewest)};
    found[1] = (Items){more, more ? cycles_of(w, channels, fewest + 1) : 0};
}

/* Cycles in which the weights of a tile pass a block of pixels. */
static int64_t stream_of(const Work *w, const Dealt *d, int64_t words) {
    if (!w->paced) return w->passed;
    const int64_t items = w->g * d->several;
    Items full[2] = {{0, 0}, {0, 0}}, last[2];
    if (items) split(w, words, items, d->before, d->before / items, full);
    split(w, d->last_chunk, w->g, d->last, d->last / w->g, last);
    return full[0].count * full[0].stream + full[1].count * full[1].stream + last[0].count * last[0].stream +
           last[1].count * last[1].stream;
}

/* Σ of max(0, drained · drain - work) over `count` items of each block that are not its first. */
static int64_t beyond(const Work *w, const Blocks *b, int64_t drained, int64_t channels, int64_t count,
                      int64_t larger, int64_t fewest) {
    Items items[2];
    int64_t sum = 0;
    if (count == 0) return 0;
    split(w, channels, count, larger, fewest, items);
    for (int i = 0; i < 2; i++) {
        if (items[i].count == 0) continue;
        for (int y = 0; y <= b->rows[1]; y++)
            for (int x = 0; x <= b->columns[1]; x++) {
                const int64_t work = items[i].stream + w->c * b->preload[y][x];
                const int64_t waits = most(drained * b->drain[y][x] - work, 0);
                sum += b->rows[y] * b->columns[x] * items[i].count * waits;
            }
    }
    return b->images * sum;
}

/* Σ of max(0, last chunk · drain of the block before - first item of the block after) (`_neighbours`). */
static int64_t between(const Work *w, const Blocks *b, int64_t last_chunk, int64_t first) {
    const int64_t n = b->images, edge = b->columns[1];
    const int64_t ends = b->drain[0][edge], ends_edge = b->drain[1][edge];
    const struct {
        int64_t count, drain, preload;
    } found[] = {
        {n * b->rows[0] * (b->columns[0] - 1), b->drain[0][0], b->preload[0][0]},
        {n * b->rows[0] * edge, b->drain[0][0], b->preload[0][1]},
        {n * b->rows[1] * (b->columns[0] - 1), b->drain[1][0], b->preload[1][0]},
        {n * b->rows[1] * edge, b->drain[1][0], b->preload[1][1]},
        {n * (b->rows[0] - 1), ends, b->preload[0][0]},
        {n * b->rows[1], ends, b->preload[1][0]},
        {n - 1, b->rows[1] ? ends_edge : ends, b->preload[0][0]},
    };
    int64_t sum = 0;
    for (int i = 0; i < 7; i++)
        if (found[i].count)
            sum += found[i].count * most(last_chunk * found[i].drain - first - w->c * found[i].preload, 0);
    return sum;
}

/* Cycles of a tile in which only a drain goes on, but for the last one. */
static int64_t waiting(const Work *w, const Blocks *b, const Dealt *d, int64_t words) {
    const int64_t g = w->g, several = d->several, last_chunk = d->last_chunk;
    /* Most tiles have so many input channels that no drain is ever waited for. */
    if (w->c * (paced_of(w, last_chunk) + 1) >= least(w->k, words) * b->drain[0][0]) return 0;
    const int64_t fewest_last = d->last / g;
    if (several == 0)
        return beyond(w, b, last_chunk, last_chunk, g - 1, d->last - fewest_last, fewest_last) +
               between(w, b, last_chunk, cycles_of(w, last_chunk, fewest_last));
    const int64_t items = g * several, fewest = d->before / items;
    const int64_t firsts = share(g, d->before, items); /* larger slices of the first chunks of all groups */
    return beyond(w, b, words, words, g * (several - 1), d->before - firsts, fewest) +
           beyond(w, b, words, last_chunk, g, d->last, fewest_last) +
           beyond(w, b, last_chunk, words, g - 1, firsts - fewest, fewest) +
           between(w, b, last_chunk, cycles_of(w, words, fewest));
}

/* Cycles of the array (`cost_of_use`). */
static int64_t cycles_of_use(const Work *w, const Blocks *b, const Used *use) {
    const Dealt d = dealt_of(w, use->words);
    const int64_t skew = w->a->systolic ? use->rows + use->cols - 2 : 0;
    return count_of(b) * stream_of(w, &d, use->words) + total(b, b->preload) * w->g * (d.several + 1) * w->c +
           last_of(b, b->drain) * d.last_chunk + skew + waiting(w, b, &d, use->words);
}

/* Words of the windows of one channel, over all blocks. */
static int64_t words_of(const Blocks *b) { return total(b, b->words); }

/* Words of inputs and weights that the buffer gives (`cost_of_use`). */
static int64_t moved_of(const Work *w, const Blocks *b, int64_t chunks) {
    return words_of(b) * w->g * chunks * w->c + count_of(b) * w->passed;
}

/* All of the array, as far as a tile has pixels and channels for it. */
static Used whole_of(const Work *w) {
    const int64_t cols = least(w->x, w->a->cols), words = least(w->k, w->a->psum_words);
    if (w->p->pointwise) {
        const int64_t pixels = least(w->x, w->a->rows * w->a->cols);
        return (Used){ceil_div(pixels, cols), cols, pixels, words};
    }
    const int64_t rows = least(w->y, w->a->rows);
    return (Used){rows, cols, rows * cols, words};
}

/* Cycles beyond work in `chunks` that a tile takes at least with so many or more, `each` for one of them. */
static double ending_of(double k, double chunks, double last, double loaded, double passed, double each) {
    static const double more[] = {0, 1, 2, 3, 4, 6, 9, 14};
    double found = each * 14 + last;
    for (int i = 0; i < 7 && each * more[i] + last < found; i++) {
        const double fewer = chunks + more[i + 1] - 1, before = larger(fewer - 1, 1);
        const double equal = (last * k - before * loaded) / (last + before * passed);
        const double one = last * (k - 1) / before + last - loaded - passed;
        const double ends = larger(lesser(one, last * lesser(equal, k / fewer)), last);
        found = lesser(found, each * more[i] + (fewer == 1 ? last * k : ends));
    }
    return found;
}

/* Whether so many cycles, a whole number, are more than a bound, which may be rounded up. */
static bool is_above(int64_t cycles, double bound) { return (double)cycles > ceil(bound * (1 - 4e-15)); }

/* Cycles that no blocks and chunks of a tile are below (`_least`); whole arrays are cut into blocks `b`. */
static double least_of(const Work *w, const Used *whole, const Blocks *b) {
    const bool flat = w->p->pointwise;
    const int64_t ports = w->a->ports, chunks = ceil_div(w->k, whole->words), count = count_of(b);
    const int64_t preload = ceil_div(words_of(b), ports), each = preload * w->g * w->c;
    const int64_t last = flat ? ceil_div((w->x - 1) % whole->pixels + 1, ports) : last_of(b, b->drain);
    const int64_t work = each * chunks + count * w->stream;
    const double pace = (double)w->p->cycles_at_once / (double)w->p->macs_at_once;
    const double c = (double)w->c, outputs = (double)(w->n * w->y * ceil_div(w->x, ports) * w->g * w->k);
    const double drains = outputs + c * (double)w->least * pace;
    const int64_t aside = least(b->rows[0] + b->rows[1], b->columns[0] + b->columns[1]);
    const int64_t others = (flat ? 1 : w->n * aside) * w->stream;
    double ending = (double)last;
    if (w->k > 1) {
        const double loaded = c * (double)(b->preload[0][0] + w->paced);
        const double passed = c * (double)(w->least + (w->a->os_skips != 0)) * pace;
        ending = ending_of((double)w->k, (double)chunks, (double)last, loaded, passed, (double)each);
    }
    const double as_few = larger((double)work + ending, drains + c * ((double)preload / (double)count));
    return lesser(as_few, larger((double)(work + others + 1), drains + c));
}

/* The fastest use that was found, of equal ones that which moves the fewest words. */
typedef struct {
    const Work *w;
    Used whole, use;
    int64_t cycles; /* what is entered must not take more */
    int64_t moved;
    int64_t allowed; /* words that are moved at most */
    int64_t chunks;         /* the fewest */
    int64_t shortest;       /* output channels at least of the last one of so many */
    int64_t item;           /* cycles at most of the weights of one */
    int64_t weights_cycles; /* of the weights at least of an output channel in an item */
} Best;

/* What bounds the cycles with some blocks. */
typedef struct {
    int64_t blocks;
    int64_t preload; /* of all blocks, of a channel */
    int64_t first;   /* preload of the first one */
    int64_t drain;   /* of all blocks, of a channel */
    int64_t last;    /* drain of the last one */
    int64_t before;  /* drain of the one before */
    int64_t ending;  /* preload of the last one */
    int64_t skew;
} Least;

/* Blocks that are looked for alone: those of the least bound. */
typedef struct {
    bool alone;
    double bound;
    Used use;
} Promise;

/* Cost a use and keep it if it is better. */
static void keep(Best *best, const Blocks *b, const Used *use, int64_t chunks) {
    const int64_t taken = cycles_of_use(best->w, b, use), moved = moved_of(best->w, b, chunks);
    if (moved > best->allowed) return;
    const int64_t order[][2] = {{taken, best->cycles},          {moved, best->moved},
                                {use->words, best->use.words},  {use->pixels, best->use.pixels},
                                {use->cols, best->use.cols},    {use->rows, best->use.rows}};
    int at = 0;
    while (at < 5 && order[at][0] == order[at][1]) at++;
    if (order[at][0] >= order[at][1]) return;
    best->cycles = taken;
    best->moved = moved;
    best->use = *use;
}

/* Cycles in which the weights of an item pass, at most: it has its share of the larger slices, which is
 * rounded up twice, and each of its windows is paced. */
static int64_t most_of_item(const Work *w, int64_t channels) {
    const int64_t even = w->c * w->least * channels;
    const int64_t larger = w->larger ? (int64_t)(w->density * (double)channels) + 3 : 0;
    const int64_t weights = even + least(larger, w->c * channels);
    if (!w->paced) return weights;
    return ceil_div(weights * w->p->cycles_at_once + w->c * (w->p->macs_at_once - 1), w->p->macs_at_once);
}

/* Cycles that blocks with chunks of `words` sums are not below, the larger of the two of os_use.py. */
static int64_t least_with(const Work *w, const Least *b, int64_t words, int64_t chunks) {
    const int64_t g = w->g, c = w->c, last_chunk = w->k - (chunks - 1) * words;
    const int64_t full = most_of_item(w, words), loaded = c * b->preload;
    const int64_t beside = b->drain * words - loaded;
    int64_t waits = 0;
    if (b->blocks > 1) {
        const int64_t drain = b->drain - b->last - b->before, preload = b->preload - b->first - b->ending;
        waits += most(b->before * last_chunk - full - c * b->ending, 0);
        waits += most(drain * last_chunk - (b->blocks - 2) * full - c * preload, 0);
    }
    if (chunks > 1) {
        waits += g * (chunks - 2) * most(beside - b->blocks * full, 0);
        waits += g * most(beside - b->blocks * most_of_item(w, last_chunk), 0);
    }
    waits += (g - 1) * most(b->drain * last_chunk - loaded - b->blocks * full, 0);
    const int64_t work = b->blocks * w->stream + loaded * g * chunks + b->last * last_chunk + waits;
    const int64_t drains = c * b->first + c * paced_of(w, w->least * words) + b->drain * g * w->k;
    return most(work, drains) + b->skew;
}

/* Whether a use of so many cycles at least can be better. */
static bool can_be_better(const Best *best, const Blocks *b, int64_t cycles, int64_t chunks) {
    return cycles < best->cycles || (cycles == best->cycles && moved_of(best->w, b, chunks) <= best->moved);
}

/* Cost one promising chunk: work and last drain, or all drains, are the least at some number of chunks. */
static void seed(Best *best, const Blocks *b, const Least *terms, Used use) {
    const Work *w = best->w;
    const int64_t loaded = terms->preload * w->c, left = terms->drain - terms->blocks * w->c * w->least;
    const double balanced = larger(sqrt((double)(terms->last * w->k) / (double)(loaded * w->g)), 1);
    const double k = (double)w->k;
    const int64_t tried[3] = {(int64_t)ceil(k / balanced), (int64_t)ceil(k / (balanced + 1)),
                              left > 0 ? ceil_div(loaded, left) : best->whole.words};
    int64_t fewest = INT64_MAX;
    for (int i = 0; i < 3; i++) {
        const int64_t words = most(least(tried[i], best->whole.words), 1);
        const int64_t cycles = least_with(w, terms, words, ceil_div(w->k, words));
        if (cycles >= fewest) continue;
        fewest = cycles;
        use.words = words;
    }
    if (fewest <= best->cycles) keep(best, b, &use, ceil_div(w->k, use.words));
}

/* Try blocks with all chunks that can be better. */
static void enter(Best *best, Used use, bool promising) {
    const Work *w = best->w;
    const Blocks b = blocks_of(w, &use);
    if (moved_of(w, &b, best->chunks) > best->allowed) return;
    const Least terms = {
        .blocks = count_of(&b),
        .preload = total(&b, b.preload),
        .first = b.preload[0][0],
        .drain = total(&b, b.drain),
        .last = last_of(&b, b.drain),
        .before = before_last(&b),
        .ending = last_of(&b, b.preload),
        .skew = w->a->systolic ? use.rows + use.cols - 2 : 0,
    };
    if (promising) seed(best, &b, &terms, use);
    const int64_t spare = best->cycles - terms.skew, each = terms.preload * w->g * w->c;
    const int64_t work = terms.blocks * w->stream, aside = spare - work - terms.last;
    const int64_t beside = spare - terms.drain * w->g * w->k - w->c * terms.first;
    if (aside < each * best->chunks || beside <= 0) return;
    const int64_t fewest = ceil_div(w->k, w->a->moves_least ? best->chunks : aside / each);
    const int64_t macs = beside * w->p->macs_at_once / (w->c * w->least * w->p->cycles_at_once);
    for (int64_t words = least(macs, best->whole.words); words >= fewest;) {
        const int64_t chunks = ceil_div(w->k, words), even = most(ceil_div(w->k, chunks), fewest);
        /* Work + last · (K - (chunks - 1) · words) is no more than the best for the larger words alone. */
        const int64_t over = work + each * chunks + terms.last * w->k - (best->cycles - terms.skew);
        int64_t low = even;
        if (chunks > 1 && over > 0) low = most(low, ceil_div(over, terms.last * (chunks - 1)));
        if (chunks == 1 && over > 0) low = words + 1;
        for (; words >= low; words--) {
            use.words = words;
            const int64_t bound = least_with(w, &terms, words, chunks);
            if (can_be_better(best, &b, bound, chunks)) keep(best, &b, &use, chunks);
        }
        words = even - 1;
    }
}

/* Cycles of preloads and drains that no chunks are below. The drain of the block before the last is waited
 * for beside the first item of the last, with the preload `ending`. The fewest chunks have the shortest last
 * one at least; one more takes all preloads once more. */
static double chunks_of(const Best *best, double preload, double drain, double before, double ending) {
    const Work *w = best->w;
    const double each = preload * (double)(w->g * w->c), shortest = (double)best->shortest;
    const double beside = (double)best->item + (double)w->c * ending;
    const double as_few = drain * shortest + larger(before * shortest - beside, 0);
    return each * (double)best->chunks + lesser(as_few, each + drain + larger(before - beside, 0));
}

/* Whether a bound, which may be rounded up, is more than so many cycles. */
static bool exceeds(double bound, int64_t cycles) { return bound * (1 - 1e-14) > (double)cycles; }

/* Cycles that the bound of blocks must not be above. */
static int64_t limit(const Best *best, const Promise *promise) {
    const bool closer = promise->alone && promise->bound < (double)best->cycles;
    return closer ? (int64_t)promise->bound : best->cycles;
}

/* Enter blocks with all of their chunks if they can be better, or look for the most promising. */
static void visit(Best *best, Promise *promise, double bound, Used use) {
    if (exceeds(bound, limit(best, promise))) return;
    if (!promise->alone) {
        enter(best, use, false);
    } else if (bound < promise->bound) {
        promise->bound = bound;
        promise->use = use;
    }
}

/* Blocks of a tile along one axis. */
typedef struct {
    int64_t size, count;      /* outputs of a full one, and how many there are */
    double first, words;      /* input positions of the first and of all */
    double drain, last_drain; /* of all and of the last one: rows along y, cycles of a row along x */
} Along;

static Along along(const Work *w, int axis, int64_t length, int64_t size) {
    const int64_t count = ceil_div(length, size), end = length - (count - 1) * size;
    Along found = {.size = size, .count = count, .first = (double)window(w, axis, size)};
    found.words = (double)(w->step[axis] * (length - count) + w->extent[axis] * count);
    const int64_t line = axis ? ceil_div(size, w->a->ports) : size;
    const int64_t last = end == size ? line : axis ? ceil_div(end, w->a->ports) : end;
    found.drain = (double)((count - 1) * line + last);
    found.last_drain = (double)last;
    return found;
}

/* Cycles that blocks of r rows and s columns are not below with any chunks. */
static double least_of_windows(const Best *best, const Along *down, const Along *across) {
    const Work *w = best->w;
    const double n = (double)w->n, blocks = n * (double)(down->count * across->count);
    const double ports = 1 / (double)w->a->ports;
    const double preload = larger(n * down->words * across->words * ports, blocks);
    const double work =
        blocks * (double)w->stream + chunks_of(best, preload, down->last_drain * across->last_drain, 0, 0);
    const double first = larger(down->first * across->first * ports, 1);
    const double drains = n * down->drain * across->drain * (double)(w->g * w->k) + (double)w->c * first +
                          (double)best->weights_cycles;
    return larger(work, drains) + (w->a->systolic ? (double)(down->size + across->size - 2) : 0);
}

/* Blocks of r rows and s columns of pixels that can be better. */
static void windows(Best *best, Promise *promise) {
    const Work *w = best->w;
    const Along whole = along(w, 0, w->y, best->whole.rows);
    /* Each block takes the stream beside a cycle of preload for each channel and chunk. */
    const int64_t each = w->n * (w->stream + w->g * w->c * best->chunks);
    for (int64_t cols = best->whole.cols; cols >= 1;) {
        Along across[TOGETHER];
        int held = 0;
        for (; cols >= 1 && held < TOGETHER; cols--) {
            across[held] = along(w, 1, w->x, cols);
            if (whole.count * across[held].count * each > limit(best, promise)) {
                cols = 0;
                break;
            }
            Along down = whole;
            down.size = 1;
            down.first = down.last_drain = 1;
            held += !exceeds(least_of_windows(best, &down, &across[held]), limit(best, promise));
        }
        if (held == 0) continue;
        for (int64_t rows = best->whole.rows; rows >= 1; rows--) {
            const Along down = along(w, 0, w->y, rows);
            if (down.count * across[0].count * each > limit(best, promise)) break;
            for (int i = 0; i < held; i++) {
                if (down.count * across[i].count * each > limit(best, promise)) break;
                const Used use = {rows, across[i].size, rows * across[i].size, best->whole.words};
                visit(best, promise, least_of_windows(best, &down, &across[i]), use);
            }
        }
    }
}

/* Rows and columns that b pixels stand in less 2, at least: their product is b or more. */
static int64_t least_skew(const Work *w, int64_t pixels) {
    return w->a->systolic ? (int64_t)(2 * sqrt((double)pixels)) - 2 : 0;
}

/* Lines of b pixels of a matrix product (`_lines`), where one pixel more is another step (`_steps`). */
static void lines(Best *best, Promise *promise, int64_t pixels, double work, double drains, int64_t line) {
    const Work *w = best->w;
    const int64_t ports = w->a->ports, filled = w->a->cols / ports * ports;
    const bool all = pixels == w->x || pixels % ports == 0;
    int64_t from = least(pixels, w->a->cols), to = from;
    if (w->a->systolic) {
        /* Rows + columns - 2 come on top; rows · columns are no fewer than the pixels. */
        const double sum = (double)(limit(best, promise) + 2) - floor(larger(work, drains) * (1 - 1e-14));
        const double root = sum * sum - 4 * (double)pixels;
        const double half = root > 0 ? sqrt(root) / 2 : 0;
        from = most(ceil_div(pixels, w->a->rows), (int64_t)larger(sum / 2 - half - 1, 1));
        to = (int64_t)lesser((double)to, sum / 2 + half + 1);
    } else if (filled > 0 && ceil_div(pixels, filled) <= w->a->rows) {
        from = to = least(pixels, filled);
    }
    for (int64_t cols = from; cols <= to; cols++) {
        if (!all && pixels % cols % ports != 0) continue;
        const int64_t rows = ceil_div(pixels, cols);
        const double skew = w->a->systolic ? (double)(rows + cols - 2) : 0;
        /* Each line takes a cycle. */
        const double slower = (double)(most(rows - line, 0) * (w->x / pixels) * w->g * w->k);
        const Used use = {rows, cols, pixels, best->whole.words};
        visit(best, promise, larger(work, drains + slower) + skew, use);
    }
}

/* Blocks of so many pixels of a matrix product, in all lines. */
static void of_pixels(Best *best, Promise *promise, int64_t pixels) {
    const Work *w = best->w;
    const int64_t ports = w->a->ports;
    const int64_t wide = least(ports, w->a->cols); /* pixels that drain in a cycle, at most */
    const int64_t count = ceil_div(w->x, pixels), end = w->x - (count - 1) * pixels;
    const int64_t first = ceil_div(pixels, ports), last = ceil_div(end, ports);
    const int64_t line = ceil_div(pixels, wide), last_line = ceil_div(end, wide);
    const double before = count > 1 ? (double)line : 0, preload = (double)((count - 1) * first + last);
    const double work =
        (double)(count * w->stream) + chunks_of(best, preload, (double)last_line, before, (double)last);
    const int64_t drain = (count - 1) * line + last_line;
    const double drains = (double)(drain * w->g * w->k + w->c * first + best->weights_cycles);
    if (!exceeds(larger(work, drains) + (double)least_skew(w, pixels), limit(best, promise)))
        lines(best, promise, pixels, work, drains, line);
}

/* The most pixels, of no more than so many, that can be the last of a step in some lines (`_steps`). */
static int64_t step_below(const Work *w, int64_t pixels) {
    const int64_t ports = w->a->ports, cols = w->a->cols;
    if (w->a->systolic || cols % ports || pixels >= w->x) return pixels;
    return pixels / ports * ports;
}

/* Blocks of pixels of matrix products, and their lines, that can be better. */
static void products(Best *best, Promise *promise) {
    const Work *w = best->w;
    const int64_t x = w->x, ports = w->a->ports, wide = least(ports, w->a->cols);
    const int64_t preload = ceil_div(x, ports), each = preload * w->g * w->c;
    const int64_t drains = ceil_div(x, wide) * w->g * w->k + best->weights_cycles;
    /* The window of the first block is loaded before all drains. */
    const int64_t first = least((best->cycles - drains) / w->c, preload);
    const int64_t largest = least(best->whole.pixels, first * ports);
    /* Some that fill the ports give a bound for the others. */
    if (promise->alone)
        for (int64_t pixels = ports; pixels < largest; pixels *= 2) of_pixels(best, promise, pixels);
    for (int64_t pixels = largest; pixels >= 1;) {
        const int64_t count = ceil_div(x, pixels), even = ceil_div(x, count);
        const int64_t spare = limit(best, promise) - count * w->stream - each * best->chunks;
        if (spare < 0) return;
        /* As many blocks of fewer pixels have a larger last one, which drains for longer. */
        const int64_t left = spare - least_skew(w, even), drain = most(left / best->shortest, left - each);
        int64_t low = left < 1 ? pixels + 1 : even;
        if (count > 1 && drain < preload) low = most(low, ceil_div(x - drain * wide, count - 1));
        for (pixels = step_below(w, pixels); pixels >= low; pixels = step_below(w, pixels - 1))
            of_pixels(best, promise, pixels);
        pixels = even - 1;
    }
}

/* What takes the fewest cycles, and those that it takes. */
static Used fastest(const Work *w, const Used *whole, int64_t *cycles) {
    const int64_t chunks = ceil_div(w->k, whole->words);
    Best best = {
        .w = w,
        .whole = *whole,
        .use = *whole,
        .cycles = *cycles - 1,
        .moved = INT64_MAX,
        .allowed = INT64_MAX,
        .chunks = chunks,
        .shortest = w->k - (chunks - 1) * whole->words,
        .item = most_of_item(w, whole->words),
        .weights_cycles = w->c * paced_of(w, w->least),
    };
    if (w->a->moves_least) {
        const Blocks b = blocks_of(w, whole);
        best.allowed = moved_of(w, &b, chunks);
    }
    enter(&best, *whole, true);
    Promise promise = {.alone = true, .bound = INFINITY};
    void (*const others)(Best *, Promise *) = w->p->pointwise ? products : windows;
    others(&best, &promise);
    if (promise.bound < INFINITY) {
        promise.alone = false;
        enter(&best, promise.use, true);
        others(&best, &promise);
    }
    if (best.moved < INT64_MAX) *cycles = best.cycles;
    return best.use;
}

static int64_t greatest_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Words that a PE takes from its neighbours while a filter slice passes. */
static int64_t moves_of(const Problem *p) {
    const int64_t shared_y = greatest_divisor(p->sy, p->dy), shared_x = greatest_divisor(p->sx, p->dx);
    const int64_t own_y = least(p->fy, p->sy / shared_y), own_x = least(p->fx, p->sx / shared_x);
    return p->fy * (p->fx - own_x) * (p->dx / shared_x) + (p->fy - own_y) * (p->dy / shared_y) * own_x;
}

void os_tile(const Problem *p, const Array *a, const Tile *t, TileCost *cost) {
    const Work w = work_of(p, a, t);
    Used use = whole_of(&w);
    Blocks b = blocks_of(&w, &use);
    int64_t cycles = cycles_of_use(&w, &b, &use);
    if (a->chooses_blocks && is_above(cycles, least_of(&w, &use, &b))) {
        use = fastest(&w, &use, &cycles);
        b = blocks_of(&w, &use);
    }
    const double pixels = (double)(t->n * t->y * t->x), passed = (double)w.passed;
    const double worked = pixels * passed, weights = (double)count_of(&b) * passed;
    const double loaded = (double)words_of(&b) * (double)(t->g * ceil_div(t->k, use.words) * t->c);
    *cost = (TileCost){.cycles = cycles};
    cost->words[REGISTER_INPUTS] = worked + loaded;
    cost->words[REGISTER_PSUMS] = 2 * worked;
    cost->words[BETWEEN_INPUTS] = pixels * (double)(t->g * t->k * t->c) * (double)moves_of(p);
    if (a->systolic) cost->words[BETWEEN_WEIGHTS] = worked - weights;
    cost->words[BUFFER_INPUTS] = loaded;
    cost->words[BUFFER_WEIGHTS] = weights;
    cost->words[BUFFER_PSUMS] = pixels * (double)(t->g * t->k);
}

double os_least(const Problem *p, const Array *a, const Tile *t) {
    const Work w = work_of(p, a, t);
    const Used whole = whole_of(&w);
    const Blocks b = blocks_of(&w, &whole);
    return floor(least_of(&w, &whole, &b) * (1 - 4e-15));
}

/* Last drain over preload of the tiles for which the bound is tight. */
static const double FLATTEST = 1.25;

void os_pixels(const Problem *p, const Array *a, const Sides *sides, Terms *terms) {
    double (*found)[TOGETHER] = terms->of;
    for (int64_t at = 0; at < sides->count; at++) {
        const Work w = work_of(p, a, &(Tile){sides->a, sides->b, sides->c[at], 1, 1, 1, 0});
        const Used whole = whole_of(&w);
        const Blocks b = blocks_of(&w, &whole);
        found[OS_BLOCKS][at] = (double)count_of(&b);
        if (!a->chooses_blocks) {
            found[OS_PRELOAD][at] = (double)total(&b, b.preload);
            found[OS_DRAIN][at] = (double)total(&b, b.drain);
            found[OS_LAST_DRAIN][at] = (double)last_of(&b, b.drain);
            continue;
        }
        const int64_t preload = ceil_div(words_of(&b), a->ports), end = (w.x - 1) % whole.pixels + 1;
        const int64_t last = p->pointwise ? ceil_div(end, a->ports) : last_of(&b, b.drain);
        found[OS_PRELOAD][at] = (double)preload;
        found[OS_DRAIN][at] = (double)(w.n * w.y * ceil_div(w.x, a->ports));
        found[OS_LAST_DRAIN][at] = lesser((double)last, (double)preload * FLATTEST);
    }
}

/* Weights that pass of tiles (`work_of`). */
static void passed_of(Work *w, const Sides *sides, double passed[TOGETHER]) {
    const double slices = (double)(sides->a * sides->b), each = (double)w->least;
    if ((double)w->slices * (double)(w->rest + 1) < 0x1p50) {
        const Divisor by_all = divisor_of(w->slices);
        const double rest = (double)w->rest;
        for (int64_t at = 0; at < sides->count; at++) passed[at] = slices * (double)sides->c[at];
        for (int64_t at = 0; at < sides->count; at++)
            passed[at] = passed[at] * each + over_up(passed[at] * rest, by_all);
        return;
    }
    for (int64_t at = 0; at < sides->count; at++) {
        take_channels(w, sides->a, sides->b, sides->c[at]);
        passed[at] = (double)w->passed;
    }
}

void os_channels(const Problem *p, const Array *a, const Sides *sides, Terms *terms) {
    const int64_t words = least(sides->b, a->psum_words), chunks = ceil_div(sides->b, words);
    const double last = (double)(sides->b - (chunks - 1) * words), outputs = (double)(sides->a * sides->b);
    const double groups = (double)sides->a, windows = (double)(sides->a * chunks);
    Work w = work_of(p, a, &(Tile){p->n, p->y, p->x, 1, 1, 1, 0});
    const Used whole = whole_of(&w);
    const int64_t line = ceil_div(p->pointwise ? whole.pixels : whole.cols, a->ports);
    const double longest = (double)(p->pointwise ? line : whole.rows * line);
    const double pace = (double)p->cycles_at_once / (double)p->macs_at_once;
    double (*found)[TOGETHER] = terms->of, passed[TOGETHER], channels[TOGETHER];
    for (int64_t at = 0; at < sides->count; at++) channels[at] = (double)sides->c[at];
    for (int64_t at = 0; at < sides->count; at++) {
        found[OS_WINDOWS][at] = windows * channels[at];
        found[OS_OUTPUTS][at] = outputs;
    }
    if (!a->chooses_blocks) {
        for (int64_t at = 0; at < sides->count; at++) {
            take_channels(&w, sides->a, sides->b, sides->c[at]);
            const Dealt d = dealt_of(&w, words);
            found[OS_STREAM][at] = (double)stream_of(&w, &d, words);
            found[OS_LAST_CHUNK][at] = last;
        }
        return;
    }
    passed_of(&w, sides, passed);
    for (int64_t at = 0; at < sides->count; at++) {
        const double stream = passed[at] * pace, fewest = lesser(last, groups * channels[at] / FLATTEST + 1);
        found[OS_STREAM][at] = stream;
        found[OS_LAST_CHUNK][at] = lesser(fewest, stream / longest);
    }
}
