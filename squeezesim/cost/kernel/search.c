/* The search for the best tiling of every problem on every machine of a family: `cost.search` in compiled form.
 *
 * It compares the same tilings by the same measures, and finds the same ones. Pairs of a pixel option and a channel
 * option go through sieves, each closer and slower than the one before: closed forms of the array, traffic under the
 * best order, modes with what their tiles cost on the array exactly. What is left is played. Values are exact; bounds
 * are rounded down. */

#include "search.h"

#include <stdlib.h>
#include <string.h>

int squeezesim_abi(void) { return SQUEEZESIM_ABI; }

const char *squeezesim_source(void) { return SQUEEZESIM_SOURCE; }

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

/* Energies whose ratio is no more than this are the same but for rounding. */
static const double EQUAL = 1 + 1e-12;

typedef struct {
    bool within; /* the slack: of those with values up to *limit* the least traffic; else the least value */
    bool strict; /* only fewer cycles than the best are looked for */
    double limit;
    Best best;
} Query;

static int compared(double one, double other, bool rounded) {
    double ratio = rounded ? EQUAL : 1;
    return one * ratio < other ? -1 : other * ratio < one ? 1 : 0;
}

/* Whether a tiling comes before another one (`search.BY_VALUE`, `search.WITHIN_SLACK`). */
static bool is_before(const State *s, const Best *one, const Best *other, bool within) {
    if (!other->found) return true;
    int way = 0;
    if (within) way = compared(one->traffic, other->traffic, false);
    if (!way) way = compared(one->value, other->value, s->in->objective != LATENCY);
    if (!way && s->in->objective != LATENCY) way = compared(one->cycles, other->cycles, false);
    if (!way) way = compared(one->energy, other->energy, true);
    if (!way) way = compared(one->traffic, other->traffic, false);
    if (way) return way < 0;
    return one->flow == other->flow ? one->number < other->number : one->flow < other->flow;
}

/* Bound up to which tilings that move so many bits can still come first. */
static double up_to(const State *s, const Query *query, double traffic) {
    const Best *best = &query->best;
    if (!best->found) return query->limit;
    if (!query->within) return s->in->objective == LATENCY ? best->value - query->strict : best->value * EQUAL;
    if (traffic < best->traffic) return query->limit;
    return traffic == best->traffic ? lesser(best->value, query->limit) : -1;
}

/* ---- tilings ----------------------------------------------------------------------------------------------------- */

static double mode_value(const State *s, int flow, const OnArray *array, const Mode *mode, double cycles) {
    if (s->in->objective == LATENCY) return cycles;
    double energy = energy_of(s, flow, array->words, &mode->moved, cycles);
    return value_of(s, cycles, energy * (1 - 1e-10));
}

static int number_of(const Mode *mode) {
    static const int NUMBER[LEVELS] = {[STAYS] = 0, [SLOTS] = 1, [SINGLE] = 2}; /* where it cannot stay in one slot */
    const int *levels = mode->levels;
    int within = (levels[INPUTS] * OF_OTHERS + NUMBER[levels[WEIGHTS]]) * OF_OTHERS + NUMBER[levels[OUTPUTS]];
    return mode->order * PER_ORDER + within;
}

/* The most promising of the modes that can come first; NULL: none is left. */
static Mode *next_of(const State *s, const Query *query, Mode *modes, int count) {
    Mode *first = NULL;
    for (Mode *mode = modes; mode < modes + count; mode++) {
        if (mode->bound > up_to(s, query, mode->traffic)) continue;
        bool less = first && query->within && mode->traffic < first->traffic;
        bool more = first && query->within && mode->traffic > first->traffic;
        if (!first || less || (!more && mode->bound < first->bound)) first = mode;
    }
    return first;
}

/* Whether a mode could at best take as many cycles as the best tiling, and more energy. */
static bool cannot_tie(const State *s, int flow, const Query *query, const OnArray *array, const Mode *mode) {
    const Best *best = &query->best;
    if (s->in->objective != LATENCY || !best->found || mode->bound <= best->cycles - 1) return false;
    if (query->within && mode->traffic != best->traffic) return false;
    return energy_of(s, flow, array->words, &mode->moved, best->cycles) > best->energy * EQUAL;
}

/* Keep the modes that can come first, if a pair takes so many cycles on the array, or those of *at_least*; how many
 * there are.
 *
 * What the others are not below is entered into *closer*. */
static int keep_modes(const State *s, const Tiling *t, const Pair *pair, const OnArray *at_least, const Query *query,
                      Mode *modes, int count, double *closer) {
    double array = at_least ? larger(at_least->total, pair->cycles) : pair->cycles;
    int left = 0;
    for (int number = 0; number < count; number++) {
        const Mode *mode = &modes[number];
        double value = least_value(s, bound_of(s, t, mode, array, at_least), pair->energy, mode->traffic);
        if (value <= up_to(s, query, mode->traffic)) modes[left++] = *mode;
        else *closer = lesser(*closer, value);
    }
    return left;
}

static int64_t key_of(const State *s, int flow, const Pair *pair) {
    return (flow * s->pixel_count + pair->pixel) * s->channel_count + pair->channel;
}

static void remember(State *s, int flow, const Pair *pair, double closer) {
    if (!seen_enter(&s->seen, key_of(s, flow, pair), closer)) s->failed = true;
}

/* What no mode of a pair is below, if it was visited on this machine; else 0. */
static double remembered(const State *s, int flow, const Pair *pair) {
    return seen_find(&s->seen, key_of(s, flow, pair));
}

/* The modes of a pair that can come first, before its tiles are costed; how many there are. */
static int modes_left(const State *s, int flow, const Tiling *t, const Pair *pair, const Query *query, Mode *modes,
                      double *closer) {
    int count = 0;
    for (int order = 0; order < ORDERS; order++) {
        Nest nest;
        if (!(s->in->memory->orders >> order & 1) || !nest_of(s, t, order, &nest)) continue;
        double traffic = traffic_at_least(s, t, order, &nest);
        if (!isfinite(traffic)) continue;
        if (pair->bound > up_to(s, query, traffic)) *closer = lesser(*closer, pair->bound);
        else count += modes_of(s, t, order, &nest, modes + count);
    }
    count = keep_modes(s, t, pair, NULL, query, modes, count, closer);
    OnArray at_least;
    if (count && array_at_least(s, flow, t, &at_least))
        count = keep_modes(s, t, pair, &at_least, query, modes, count, closer);
    return count;
}

/* Play a mode, and make it the best if it comes first. */
static void play_mode(const State *s, int flow, const Tiling *t, const OnArray *array, const Mode *mode, Query *query) {
    Best found = {.found = true, .flow = flow, .mode = number_of(mode), .pixel = t->pixel, .channel = t->channel};
    found.number = (found.mode * s->pixel_count + t->pixel) * s->channel_count + t->channel;
    found.traffic = mode->traffic;
    found.cycles = play(s, t, array, mode->order, mode->levels);
    found.energy = energy_of(s, flow, array->words, &mode->moved, found.cycles);
    found.value = value_of(s, found.cycles, found.energy);
    if (found.value <= up_to(s, query, mode->traffic) && is_before(s, &found, &query->best, query->within))
        query->best = found;
}

/* Play the modes of a pair that can come first, and remember what none of its modes is below. */
static void visit(State *s, int flow, const Pair *pair, Query *query) {
    double closer = INFINITY;
    Tiling t;
    Mode modes[ORDERS * PER_ORDER];
    tiling_of(s, pair->pixel, pair->channel, &t);
    int left = modes_left(s, flow, &t, pair, query, modes, &closer);
    OnArray array;
    if (left) array_of(s, flow, &t, &array);
    for (int number = 0; number < left; number++) {
        double cycles = bound_of(s, &t, &modes[number], array.total, &array);
        modes[number].bound = mode_value(s, flow, &array, &modes[number], cycles);
        closer = lesser(closer, modes[number].bound);
    }
    for (Mode *mode; left && (mode = next_of(s, query, modes, left));) {
        if (!cannot_tie(s, flow, query, &array, mode)) play_mode(s, flow, &t, &array, mode, query);
        mode->bound = INFINITY;
    }
    remember(s, flow, pair, closer);
}

/* ---- branch and bound -------------------------------------------------------------------------------------------- */

/* Whether a pair is more promising than the best so far: by its bound, or of those up to a limit by its traffic. */
static bool is_better(const Query *query, const Pair *pair, const Pair *best) {
    if (!query->within || pair->traffic == best->traffic) return pair->bound < best->bound;
    return pair->traffic < best->traffic;
}

/* The most promising of the runs that are left; NULL: none can have a better pair. */
static Pair *next_run(const State *s, const Query *query, int64_t count, const Pair *best) {
    Pair *first = NULL;
    for (Pair *run = s->runs; run < s->runs + count; run++)
        if (is_better(query, run, first ? first : best) && run->bound <= query->limit) first = run;
    return first;
}

/* Make *best* the most promising pair of a pixel option, if one is more promising. */
static void improve_channel(State *s, int number, int64_t pixel, const Query *query, Pair *best) {
    take_pixel(s, number, pixel);
    int64_t runs = screen_runs(s, number);
    for (Pair *run; (run = next_run(s, query, runs, best));) {
        double limit = query->within ? query->limit : best->bound;
        int64_t count = screen_run(s, run, limit, query->within ? best->traffic : INFINITY);
        run->bound = run->traffic = INFINITY; /* it is done */
        for (int64_t at = 0; at < count; at++) {
            Pair *pair = &s->found[at];
            if (is_better(query, pair, best) && refine(s, pair, limit) && is_better(query, pair, best)) *best = *pair;
        }
    }
}

/* The same of a channel option, of several tiles of pixels. */
static void improve_pixel(State *s, int number, int64_t channel, const Query *query, Pair *best) {
    for (int64_t pixel = 0; pixel < s->pixel_count - 1; pixel++) {
        double limit = query->within ? query->limit : best->bound;
        Pair pair = screen_one(s, number, pixel, channel);
        if (pair.bound <= limit && is_better(query, &pair, best) && refine(s, &pair, limit) &&
            is_better(query, &pair, best))
            *best = pair;
    }
}

static void push(State *s, Pair pair) {
    if (s->pair_count == s->pair_capacity) {
        size_t capacity = s->pair_capacity ? s->pair_capacity * 2 : 1 << 12;
        Pair *pairs = realloc(s->pairs, capacity * sizeof(Pair));
        if (!pairs) {
            s->failed = true;
            return;
        }
        s->pairs = pairs;
        s->pair_capacity = capacity;
    }
    s->pairs[s->pair_count++] = pair;
}

static int in_order(const Pair *a, const Pair *b) {
    if (a->pixel != b->pixel) return a->pixel < b->pixel ? -1 : 1;
    return a->channel < b->channel ? -1 : a->channel > b->channel;
}

static int by_bound(const void *one, const void *other) {
    const Pair *a = one, *b = other;
    return a->bound != b->bound ? (a->bound < b->bound ? -1 : 1) : in_order(a, b);
}

static int by_traffic(const void *one, const void *other) {
    const Pair *a = one, *b = other;
    return a->traffic != b->traffic ? (a->traffic < b->traffic ? -1 : 1) : by_bound(one, other);
}

static int64_t options_of(const State *s) { return s->pixel_count - (s->in->cut[s->row] != 0); }

static void sort(Pair *pairs, size_t count, const Query *query) {
    if (count) qsort(pairs, count, sizeof(Pair), query->within ? by_traffic : by_bound);
}

/* Play promising pairs: the best of some pixel options, and of all pixels in one tile. */
static void descend(State *s, int number, Query *query) {
    enum { SOME = 8 };
    const Pair none = {.bound = INFINITY, .traffic = INFINITY};
    Pair best = none;
    int64_t count = options_of(s);
    sort(s->ranked[number], (size_t)count, query);
    for (int64_t place = 0; place < count && place < SOME; place++)
        improve_channel(s, number, s->ranked[number][place].pixel, query, &best);
    if (isfinite(best.bound)) {
        improve_pixel(s, number, best.channel, query, &best);
        improve_channel(s, number, best.pixel, query, &best);
        visit(s, number, &best, query);
    }
    best = none;
    if (!s->in->cut[s->row]) improve_channel(s, number, s->pixel_count - 1, query, &best);
    if (isfinite(best.bound)) visit(s, number, &best, query);
}

static void visit_first(State *s, int number, Query *query, size_t most_pairs) {
    for (size_t at = 0; at < s->pair_count && at < most_pairs && !s->failed; at++) {
        const Pair *pair = &s->pairs[at];
        if (pair->bound <= up_to(s, query, pair->traffic)) visit(s, number, pair, query);
    }
}

/* Play the most promising of many pairs, and drop those that cannot come first any more. */
static void thin(State *s, int number, Query *query) {
    enum { SOME = 256 };
    sort(s->pairs, s->pair_count, query);
    visit_first(s, number, query, SOME);
    size_t left = 0;
    for (size_t at = SOME; at < s->pair_count; at++)
        if (s->pairs[at].bound <= up_to(s, query, s->pairs[at].traffic)) s->pairs[left++] = s->pairs[at];
    s->pair_count = left;
}

/* Bits that tilings which come first can move. */
static double most_moved(const Query *query) { return query->within ? query->best.traffic : INFINITY; }

/* Add the pairs of a pixel option that can come first. */
static void collect(State *s, int number, int64_t pixel, const Query *query) {
    double limit = up_to(s, query, 0), most_bits = most_moved(query);
    take_pixel(s, number, pixel);
    int64_t runs = screen_runs(s, number);
    for (const Pair *run = s->runs; run < s->runs + runs; run++) {
        if (run->bound > limit || run->traffic > most_bits) continue;
        int64_t count = screen_run(s, run, limit, most_bits);
        for (Pair *pair = s->found; pair < s->found + count; pair++) {
            if (query->within) pair->bound = larger(pair->bound, remembered(s, number, pair));
            if (pair->bound <= up_to(s, query, pair->traffic) && refine(s, pair, limit) &&
                pair->bound <= up_to(s, query, pair->traffic))
                push(s, *pair);
        }
    }
}

/* Play all pairs of a dataflow that can come first, the most promising before. */
static void scan(State *s, int number, Query *query) {
    size_t many = 1 << 15; /* pairs, of which some are played before others are looked for */
    s->pair_count = 0;
    sort(s->ranked[number], (size_t)options_of(s), query);
    for (int64_t place = 0; place < options_of(s) && !s->failed; place++) {
        double limit = up_to(s, query, 0), most_bits = most_moved(query);
        const Pair *least_pair = &s->ranked[number][place];
        if (least_pair->bound > limit || least_pair->traffic > most_bits) continue;
        collect(s, number, least_pair->pixel, query);
        if (s->pair_count < many) continue;
        thin(s, number, query);
        many = 2 * s->pair_count > many ? 2 * many : many;
    }
    sort(s->pairs, s->pair_count, query);
    visit_first(s, number, query, s->pair_count);
}

/* Find a promising tiling: what was the best on the machine before, or by a descent of each dataflow. */
static void start(State *s, Query *query, const Best *before) {
    if (before->found) {
        Pair pair = screen_one(s, (int)before->flow, before->pixel, before->channel);
        if (isfinite(pair.bound)) visit(s, (int)before->flow, &pair, query);
        if (query->best.found) return;
    }
    for (int flow = 0; flow < s->in->flows && !s->failed; flow++) descend(s, flow, query);
}

/* Choose for the problem on the machine: the least value, then within the slack the least traffic. */
static void choose(State *s, int64_t machine) {
    const Input *in = s->in;
    bool slack = s->rates->slack > 0 && in->objective == LATENCY;
    const Best none = {.cycles = INFINITY, .energy = INFINITY, .value = INFINITY, .traffic = INFINITY};
    const double ceiling = in->ceiling ? in->ceiling[machine * in->problems + s->row] : INFINITY;
    Query query = {.limit = ceiling, .strict = slack, .best = none};
    for (int flow = 0; flow < in->flows; flow++)
        for (int64_t pixel = 0; pixel < options_of(s); pixel++)
            s->ranked[flow][pixel] = screen_least(s, flow, pixel);
    start(s, &query, &s->fastest);
    for (int flow = 0; flow < in->flows && !s->failed; flow++) scan(s, flow, &query);
    s->fastest = query.best;
    if (slack) {
        query.within = true;
        query.limit = lesser((1 + s->rates->slack) * query.best.value, ceiling);
        start(s, &query, &s->leanest);
        for (int flow = 0; flow < in->flows && !s->failed; flow++) scan(s, flow, &query);
        s->leanest = query.best;
    }
    const Best *best = &query.best;
    int64_t at = machine * in->problems + s->row, each = in->machines * in->problems;
    double weighted = INFINITY;
    if (best->found) weighted = s->rates->cycle_weight * best->cycles + s->rates->energy_weight * best->energy;
    const double measures[] = {best->cycles, best->energy, weighted, best->traffic};
    for (int column = 0; column < 4; column++) in->measures[column * each + at] = measures[column];
    const int64_t choice[] = {best->flow, best->mode, best->pixel + in->pixel_offsets[s->row],
                              best->channel + in->channel_offsets[s->row], best->number};
    for (int column = 0; column < 5; column++) in->choice[column * each + at] = choice[column];
}

/* ---- from problem to problem ------------------------------------------------------------------------------------- */

static bool begin(State *s, const Input *in) {
    s->in = in;
    fill_orders(s->orders, (unsigned)in->memory->orders);
    size_t longest = 0;
    for (int64_t row = 0; row < in->problems; row++) {
        longest = (size_t)most((int64_t)longest, in->channel_offsets[row + 1] - in->channel_offsets[row]);
        longest = (size_t)most((int64_t)longest, in->pixel_offsets[row + 1] - in->pixel_offsets[row]);
    }
    s->rounding = calloc(longest, sizeof(double));
    s->rounding_single = calloc(longest, sizeof(double));
    s->found = calloc(longest, sizeof(Pair));
    s->runs = calloc(longest, sizeof(Pair));
    s->ranked = calloc((size_t)in->flows, sizeof(Pair *));
    s->forms = calloc((size_t)in->flows, sizeof *s->forms);
    s->kept = calloc((size_t)in->flows, sizeof(Kept));
    s->tables = calloc((size_t)in->flows, sizeof(Table));
    if (!seen_init(&s->seen) || !s->rounding || !s->rounding_single || !s->found || !s->runs) return false;
    if (!s->ranked || !s->forms || !s->tables || !s->kept) return false;
    for (int flow = 0; flow < in->flows; flow++) {
        s->ranked[flow] = calloc(longest, sizeof(Pair));
        if (!s->ranked[flow] || !table_init(&s->tables[flow])) return false;
    }
    return true;
}

static void end(State *s) {
    for (int flow = 0; flow < s->in->flows; flow++) {
        if (s->tables) table_free(&s->tables[flow]);
        if (s->ranked) free(s->ranked[flow]);
        if (s->kept) free(s->kept[flow].values);
        if (s->kept) free(s->kept[flow].known);
        for (int number = 0; s->forms && number < 2; number++) {
            free(s->forms[flow][number].own);
            free(s->forms[flow][number].runs);
        }
    }
    free(s->tables);
    free(s->kept);
    free(s->forms);
    free(s->terms);
    free(s->found);
    free(s->runs);
    free(s->ranked);
    seen_free(&s->seen);
    free(s->rounding);
    free(s->rounding_single);
    free(s->pairs);
}

void take_row(State *s, int64_t row) {
    const Input *in = s->in;
    s->row = row;
    for (int64_t column = 0; column < (int64_t)PROBLEM_COLUMNS; column++)
        (&s->problem.n)[column] = in->work[column * in->problems + row];
    s->pooling = in->pooling[row];
    const Problem *p = &s->problem;
    s->stored_slice = (double)p->stored_weights / (double)(p->g * p->k * p->c);
    int64_t pixels = in->pixel_offsets[in->problems], channels = in->channel_offsets[in->problems];
    s->pixel_count = in->pixel_offsets[row + 1] - in->pixel_offsets[row];
    s->channel_count = in->channel_offsets[row + 1] - in->channel_offsets[row];
    for (int column = 0; column < PIXEL_COLUMNS; column++)
        s->pixels[column] = in->pixels + column * pixels + in->pixel_offsets[row];
    for (int column = 0; column < CHANNEL_COLUMNS; column++)
        s->channels[column] = in->channels + column * channels + in->channel_offsets[row];
}

/* Whether tiles of two problems cost the same on the array: they differ in where operands live alone. */
static bool same_on_array(const Problem *a, const Problem *b) {
    size_t shape = offsetof(Problem, weight_bits);
    return !memcmp(a, b, shape) && a->weight_bits == b->weight_bits && a->activation_bits == b->activation_bits &&
           a->accumulator_bits == b->accumulator_bits && a->macs_at_once == b->macs_at_once &&
           a->cycles_at_once == b->cycles_at_once && a->nonzeros == b->nonzeros && a->block_kept == b->block_kept &&
           a->block_size == b->block_size && a->valid == b->valid && a->pointwise == b->pointwise &&
           a->is_product == b->is_product;
}

/* Whether the problem of *row* has the tiles of the one that is there, at the same cost on the array. */
static bool is_alike(const State *s, int64_t row) {
    State other = {.in = s->in};
    take_row(&other, row);
    if (other.pixel_count != s->pixel_count || other.channel_count != s->channel_count) return false;
    if (!same_on_array(&s->problem, &other.problem)) return false;
    for (int axis = 0; axis < 3; axis++) {
        size_t pixels = (size_t)s->pixel_count * sizeof(int64_t), channels = (size_t)s->channel_count * sizeof(int64_t);
        if (memcmp(s->pixels[SIZE + axis], other.pixels[SIZE + axis], pixels)) return false;
        if (memcmp(s->channels[SIZE + axis], other.channels[SIZE + axis], channels)) return false;
    }
    return true;
}

/* Begin with the problem of *row*; of one that *alike* says is like the one before, what tiles cost is known, and the
 * best tiling is promising. */
static bool take_problem(State *s, int64_t row, bool alike) {
    take_row(s, row);
    if (!alike) {
        s->fastest.found = s->leanest.found = false;
        for (int flow = 0; flow < s->in->flows; flow++) table_clear(&s->tables[flow]);
    }
    return screen_problem(s, alike);
}

static bool search_problem(State *s, int64_t row, bool alike) {
    if (!take_problem(s, row, alike)) return false;
    for (int64_t machine = 0; machine < s->in->machines && !s->failed; machine++) {
        take_machine(s, machine);
        if (s->rates->room != s->kept_room) screen_forget(s);
        seen_clear(&s->seen);
        choose(s, machine);
    }
    return !s->failed;
}

/* Search all problems on all machines, those that are alike one after the other; 0, or 1 where there was no memory. */
int squeezesim_search(const Input *in) {
    State state = {.failed = false};
    bool *done = calloc((size_t)in->problems, sizeof(bool)), there = begin(&state, in) && done;
    for (int64_t row = 0; there && row < in->problems; row++) {
        if (done[row]) continue;
        there = search_problem(&state, row, false);
        for (int64_t other = row + 1; there && other < in->problems; other++) {
            if (done[other] || !is_alike(&state, other)) continue;
            done[other] = true;
            there = search_problem(&state, other, true);
        }
    }
    end(&state);
    free(done);
    return !there;
}

/* Bits of the buffer that each problem takes at its smallest tile, in `measures`; 0, or 1 where there was no memory. */
int squeezesim_least_footprints(const Input *in) {
    State state = {.failed = false};
    bool there = begin(&state, in);
    for (int64_t row = 0; there && row < in->problems; row++) {
        there = take_problem(&state, row, false);
        if (there) in->measures[row] = least_footprint(&state);
    }
    end(&state);
    return !there;
}
