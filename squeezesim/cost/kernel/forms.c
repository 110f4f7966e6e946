/* Closed forms of cycles on the array: for each option of a problem, what the terms of its tiles sum up to.
 *
 * They are those of `bounds.ArrayForms` and of `Bounds.cycles` of each dataflow, to the last bit: the most of some
 * alternatives, each a sum of a term of the pixel option times one of the channel option. */

#include <stdlib.h>
#include <string.h>

#include "search.h"

enum { MOST_ALTERNATIVES = 4, MOST_PRODUCTS = 3 };

/* Sums of terms over the tiles of options, and how many tiles there are. */
typedef struct {
    Terms terms;
    double tiles[TOGETHER];
} Sums;

/* Factors of a side by alternative, of each option; those that are not there are 0. */
typedef struct {
    const double *each[MOST_ALTERNATIVES][MOST_PRODUCTS];
} Factors;

/* What a dataflow's closed forms are made of. */
typedef struct {
    const Problem *problem;
    const Array *array;
    const Flow *flow;
    int64_t alternatives, products;
} Of;

static Of of_flow(const State *s, int number) {
    Of of = {.problem = &s->problem, .array = s->in->array, .flow = &s->in->flow[number]};
    of.alternatives = 2;
    of.products = 3;
    if (of.flow->kind == OF_UNIT) {
        const Unit *u = of.flow->unit;
        bool by_ports = u->stationary == INPUTS_STAY && u->ports;
        of.alternatives = 1 + (u->output_words > 0) + (u->stationary == WEIGHTS_STAY) + by_ports;
        of.alternatives += u->stationary == INPUTS_STAY && u->preload;
        of.products = u->stationary == WEIGHTS_STAY || by_ports ? 3 : 2;
    }
    return of;
}

static void terms_of(const Of *of, bool channels, const Sides *sides, Terms *terms) {
    if (of->flow->kind == OF_UNIT)
        (channels ? unit_channels : unit_pixels)(of->problem, of->flow->unit, sides, terms);
    else if (of->flow->kind == OF_WS)
        (channels ? ws_channels : ws_pixels)(of->problem, of->array, sides, terms);
    else
        (channels ? os_channels : os_pixels)(of->problem, of->array, sides, terms);
}

/* Options from one on that differ along the last axis alone, at most TOGETHER. */
static int64_t row_of(const int64_t *const *columns, int64_t from, int64_t count) {
    int64_t until = from + 1, most_of = least(count, from + TOGETHER);
    while (until < most_of && columns[SIZE][until] == columns[SIZE][from] &&
           columns[SIZE + 1][until] == columns[SIZE + 1][from])
        until++;
    return until - from;
}

/* Add the terms of tiles that have *sides*, a number of times that differs along the last axis. */
static void add(const Of *of, bool channels, const Sides *sides, double times, const double number[TOGETHER],
                Sums *sums) {
    int terms_of_tile = of->flow->kind == OF_UNIT ? MOST_TERMS : 4;
    Terms terms;
    terms_of(of, channels, sides, &terms);
    for (int term = 0; term < terms_of_tile; term++)
        for (int64_t at = 0; at < sides->count; at++)
            sums->terms.of[term][at] += times * number[at] * terms.of[term][at];
}

/* Sums of the terms of a row of options: tiles along an axis have one size, but for the last. */
static void sum_up(const Of *of, bool channels, const int64_t *const *columns, int64_t from, int64_t count,
                   Sums *sums) {
    const int64_t *const *tiles = columns + TILES;
    const double none[TOGETHER] = {0}, outer = (double)(tiles[0][from] * tiles[1][from]);
    double one[TOGETHER], others[TOGETHER];
    *sums = (Sums){.tiles = {0}};
    for (int64_t at = 0; at < count; at++) {
        one[at] = 1;
        others[at] = (double)(tiles[2][from + at] - 1);
        sums->tiles[at] = outer * (others[at] + 1);
    }
    bool several = memcmp(others, none, (size_t)count * sizeof(double)) != 0;
    for (int corner = 0; corner < 4; corner++) {
        bool last_a = corner >> 1, last_b = corner & 1;
        double times = 1;
        if (!last_a) times *= (double)(tiles[0][from] - 1);
        if (!last_b) times *= (double)(tiles[1][from] - 1);
        if (times == 0) continue;
        Sides sides = {columns[last_a ? LAST : SIZE][from], columns[(last_b ? LAST : SIZE) + 1][from], count,
                       columns[SIZE + 2] + from};
        if (several) add(of, channels, &sides, times, others, sums);
        sides.c = columns[LAST + 2] + from;
        add(of, channels, &sides, times, one, sums);
    }
}

/* ---- alternatives ------------------------------------------------------------------------------------------------ */

static void take_two(Factors *to, int alternative, const double *one, const double *other) {
    to->each[alternative][0] = one;
    to->each[alternative][1] = other;
}

static Factors rows_of_unit(const Unit *u, const Sums *p) {
    const double(*t)[TOGETHER] = p->terms.of;
    bool weights = u->stationary == WEIGHTS_STAY, inputs = u->stationary == INPUTS_STAY;
    Factors found = {{{t[UNIT_STREAM], p->tiles}}};
    int at = 1;
    if (weights) found.each[0][2] = p->tiles;
    if (inputs && u->ports) found.each[0][2] = t[UNIT_FIRST_PIXELS];
    if (u->output_words) take_two(&found, at++, t[UNIT_PIXELS], p->tiles);
    if (weights) take_two(&found, at++, p->tiles, t[UNIT_STREAM]);
    if (inputs && u->ports) take_two(&found, at++, t[UNIT_PIXELS], p->tiles);
    if (inputs && u->preload) take_two(&found, at++, t[UNIT_PARTS], p->tiles);
    return found;
}

static const double *divided(double values[TOGETHER], int64_t by) {
    for (int at = 0; at < TOGETHER; at++) values[at] /= (double)by;
    return values;
}

static Factors columns_of_unit(const Unit *u, Sums *c) {
    double(*t)[TOGETHER] = c->terms.of;
    bool weights = u->stationary == WEIGHTS_STAY, inputs = u->stationary == INPUTS_STAY;
    Factors found = {{{t[UNIT_CYCLES], t[UNIT_LATENCY]}}};
    int at = 1;
    if (weights) found.each[0][2] = t[UNIT_EXPOSED];
    if (inputs && u->ports) found.each[0][2] = divided(t[UNIT_FIRST], u->ports);
    if (u->output_words) take_two(&found, at++, divided(t[UNIT_OUTPUTS], u->output_words), t[UNIT_LATENCY]);
    if (weights) {
        for (int each = 0; each < TOGETHER; each++) t[UNIT_PRELOADS][each] += t[UNIT_LATENCY][each];
        for (int each = 0; each < TOGETHER; each++) c->tiles[each] = 1;
        take_two(&found, at++, t[UNIT_PRELOADS], c->tiles);
    }
    if (inputs && u->ports) take_two(&found, at++, divided(t[UNIT_INPUTS], u->ports), t[UNIT_LATENCY]);
    if (inputs && u->preload) {
        for (int each = 0; each < TOGETHER; each++) t[UNIT_BLOCKS][each] *= (double)u->preload;
        take_two(&found, at++, t[UNIT_BLOCKS], t[UNIT_LATENCY]);
    }
    return found;
}

static Factors rows_of(const Of *of, const Sums *p) {
    const double(*t)[TOGETHER] = p->terms.of;
    if (of->flow->kind == OF_UNIT) return rows_of_unit(of->flow->unit, p);
    if (of->flow->kind == OF_WS)
        return (Factors){{{t[WS_STREAM], t[WS_SHARE], p->tiles}, {p->tiles, t[WS_STREAM]}}};
    return (Factors){{{t[OS_BLOCKS], t[OS_PRELOAD], t[OS_LAST_DRAIN]}, {t[OS_DRAIN]}}};
}

static Factors columns_of(const Of *of, Sums *c) {
    double(*t)[TOGETHER] = c->terms.of;
    if (of->flow->kind == OF_UNIT) return columns_of_unit(of->flow->unit, c);
    if (of->flow->kind == OF_OS)
        return (Factors){{{t[OS_STREAM], t[OS_WINDOWS], t[OS_LAST_CHUNK]}, {t[OS_OUTPUTS]}}};
    for (int at = 0; at < TOGETHER; at++) {
        t[WS_FIRST][at] -= c->tiles[at];
        t[WS_SWAPS][at] += c->tiles[at];
    }
    return (Factors){{{t[WS_BLOCKS], t[WS_FIRST], t[WS_SWAPS]}, {t[WS_PRELOADS], c->tiles}}};
}

/* Enter the factors of all options of a side, *stride* apart by alternative and product. */
static void fill(const Of *of, bool channels, const int64_t *const *columns, int64_t count, int64_t stride,
                 double *found) {
    static const double none[TOGETHER];
    Sums sums;
    for (int64_t from = 0, some; from < count; from += some) {
        some = row_of(columns, from, count);
        sum_up(of, channels, columns, from, some, &sums);
        Factors factors = channels ? columns_of(of, &sums) : rows_of(of, &sums);
        double *to = found + from;
        for (int64_t alternative = 0; alternative < of->alternatives; alternative++)
            for (int64_t product = 0; product < of->products; product++, to += stride) {
                const double *values = factors.each[alternative][product];
                memcpy(to, values ? values : none, (size_t)some * sizeof(double));
            }
    }
}

bool take_forms(State *s, int number) {
    Of of = of_flow(s, number);
    int64_t sums = of.alternatives * of.products;
    Closed *cycles = &s->forms[number][0];
    double *own = realloc(cycles->own, (size_t)(sums * (s->pixel_count + s->channel_count)) * sizeof(double));
    if (!own) return false;
    cycles->own = own;
    cycles->of = (Forms){of.alternatives, of.products, own, own + sums * s->pixel_count};
    cycles->pixels = s->pixel_count;
    cycles->channels = s->channel_count;
    fill(&of, false, s->pixels, s->pixel_count, s->pixel_count, own);
    fill(&of, true, s->channels, s->channel_count, s->channel_count, own + sums * s->pixel_count);
    return true;
}

void take_prices(State *s, int number) {
    const Input *in = s->in;
    Closed *priced = &s->forms[number][1];
    priced->of = in->flow[number].energy;
    priced->of.rows += in->pixel_offsets[s->row];
    priced->of.columns += in->channel_offsets[s->row];
    priced->pixels = in->pixel_offsets[in->problems];
    priced->channels = in->channel_offsets[in->problems];
}

/* Enter closed forms of cycles of a dataflow into *rows* and *columns*, of so many products with those of all
 * alternatives, as those of `Forms`; 1 where it has another number. */
int squeezesim_forms(const Input *in, int64_t number, int64_t products, double *rows, double *columns) {
    int64_t pixels = in->pixel_offsets[in->problems], channels = in->channel_offsets[in->problems];
    for (int64_t row = 0; row < in->problems; row++) {
        State s = {.in = in};
        take_row(&s, row);
        Of of = of_flow(&s, (int)number);
        if (of.alternatives * of.products != products) return 1;
        fill(&of, false, s.pixels, s.pixel_count, pixels, rows + in->pixel_offsets[row]);
        fill(&of, true, s.channels, s.channel_count, channels, columns + in->channel_offsets[row]);
    }
    return 0;
}
