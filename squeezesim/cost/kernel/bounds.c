/* What tilings are not below: closed forms for options and pairs of them, closer bounds of modes.
 *
 *     cycles >= setup + latency + max(first load + array + last store,
 *                                     all traffic / bandwidth + rounding + the last tile's array beyond its store,
 *                                     array of the tiles beside which an operand is not moved + that operand)
 *
 * The reasons are those of `cost.bounds`, `cost.rounding` and `DataflowBounds.refined`. */

#include <string.h>

#include "search.h"

static const double ENERGY_MARGIN = 1 - 1e-10;

double value_of(const State *s, double cycles, double energy) {
    if (s->in->objective == LATENCY) return cycles;
    return s->rates->cycle_weight * cycles + s->rates->energy_weight * energy;
}

/* Forget what depends on the machine. */
void take_machine(State *s, int64_t machine) {
    const Rates *rates = s->rates = &s->in->rates[machine];
    s->cycles_per_bit = 1 / (8 * rates->all_bytes_per_cycle);
    s->constant = rates->setup + (double)s->in->waits[s->row] * rates->least_latency;
    for (int64_t at = 0; at < s->channel_count; at++) s->rounding[at] = s->rounding_single[at] = -1;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

/* Cycles weighed with the energy of tilings that take so much on the array, and move so many bits. */
double least_weighted(const State *s, double cycles, double energy, double traffic) {
    const Rates *r = s->rates;
    double memory = lesser(lesser(r->memory[INPUTS], r->memory[WEIGHTS]), r->memory[OUTPUTS]);
    double a_bit = memory + lesser(r->buffer_read, r->buffer_write);
    return value_of(s, cycles, (energy + traffic * a_bit + cycles * r->leakage_per_cycle) * ENERGY_MARGIN);
}

/* Give a pair the bounds that its best order leaves it; whether it fits, with a bound up to *limit*. */
bool refine(const State *s, Pair *pair, double limit) {
    double rounding = rounding_of(s, pair->channel, pair->pixel == s->pixel_count - 1);
    double moving = pair->traffic * s->cycles_per_bit + rounding;
    if (least_value(s, moving + s->constant, pair->energy, pair->traffic) > limit) return false;
    Tiling t;
    tiling_of(s, pair->pixel, pair->channel, &t);
    double traffic = INFINITY;
    for (int order = 0; order < ORDERS; order++) {
        Nest nest;
        if ((s->in->memory->orders >> order & 1) && nest_of(s, &t, order, &nest))
            traffic = lesser(traffic, traffic_at_least(s, &t, order, &nest));
    }
    if (!isfinite(traffic)) return false;
    pair->traffic = larger(pair->traffic, traffic);
    moving = pair->traffic * s->cycles_per_bit + rounding;
    pair->bound = larger(pair->bound, least_value(s, moving + s->constant, pair->energy, pair->traffic));
    return pair->bound <= limit;
}

/* Cycles that rounding adds at least to the transfers of different tiles of the channels along some axes.
 *
 * An element of a tile is *each* bits, or so many weights that are compressed. */
static double rounded_up(const State *s, int64_t channel, bool k, bool c, int64_t each, bool compressed) {
    const bool there[] = {true, k, c};
    double found = 0;
    for (int corner = 0; corner < 8; corner++) {
        int64_t count = 1, elements = 1;
        for (int axis = 0; axis < 3 && count; axis++) {
            bool is_last = corner >> axis & 1;
            if (there[axis]) {
                if (!is_last) count *= s->channels[TILES + axis][channel] - 1;
                elements *= s->channels[(is_last ? LAST : SIZE) + axis][channel];
            } else if (is_last) {
                count = 0; /* counted with the other half */
            }
        }
        if (!count) continue;
        double bits = (double)(compressed ? moved_weights(s, elements * each) : elements * each);
        found += (double)count * (transfer_cycles(bits, s->rates->all_bytes_per_cycle) - bits * s->cycles_per_bit);
    }
    return found;
}

/* Cycles beyond traffic / rate that transfers take with a channel option, with several tiles of pixels or one. */
double rounding_of(const State *s, int64_t channel, bool is_single) {
    const Problem *p = &s->problem;
    double *known = (is_single ? s->rounding_single : s->rounding) + channel;
    if (*known >= 0) return *known;
    if (s->in->memory->memories > 1) return *known = 0;
    bool compressed = s->in->memory->compressed && p->factor_bits;
    int64_t of_weights = taps_of(p) * (compressed ? 1 : p->factor_bits);
    double found = rounded_up(s, channel, true, true, of_weights, compressed);
    found -= p->constants > 0; /* these come with the first tile */
    if (is_single) {
        int64_t inputs = s->pixels[ONCE][s->pixel_count - 1] * p->input_bits;
        found += rounded_up(s, channel, false, true, inputs, false) - (p->second > 0);
        if (!p->pool) found += rounded_up(s, channel, true, false, p->n * p->y * p->x * p->output_bits, false);
    }
    return *known = larger(found, 0);
}

/* ---- modes ------------------------------------------------------------------------------------------------------- */

/* Energy of a tiling in a mode that takes *cycles*; *words* are those of the array. */
double energy_of(const State *s, int flow, const double *words, const Moved *moved, double cycles) {
    const Problem *p = &s->problem;
    const Rates *r = s->rates;
    double inputs = (double)p->activation_bits, weights = (double)p->weight_bits;
    double sums = (double)p->accumulator_bits, started = (double)(p->g * p->k * p->n * p->y * p->x);
    double registers = words[REGISTER_INPUTS] * inputs + words[REGISTER_WEIGHTS] * weights +
                       words[REGISTER_PSUMS] * sums;
    double between = words[BETWEEN_INPUTS] * inputs + words[BETWEEN_WEIGHTS] * weights +
                     words[BETWEEN_PSUMS] * sums;
    double read = words[BUFFER_INPUTS] * inputs + words[BUFFER_WEIGHTS] * weights +
                  (words[BUFFER_PSUMS] - started) * sums;
    double written = words[BUFFER_PSUMS] * sums;
    read += (double)moved->outputs + (double)p->added * started + (double)moved->sums / 2;
    written += (double)moved->inputs + (double)moved->unpacked + (double)moved->sums / 2;
    if (s->pooling.unpooled) { /* outputs are read to be pooled, and what they become is written */
        read += (double)s->pooling.unpooled;
        written += (double)moved->outputs;
    }
    double mac = r->multiply_per_bit2 * weights * inputs + r->add_per_bit * sums;
    double memory = (double)moved->inputs * r->memory[INPUTS] + (double)moved->weights * r->memory[WEIGHTS] +
                    ((double)moved->outputs + (double)moved->sums) * r->memory[OUTPUTS];
    return (double)s->in->flow[flow].executed[s->row] * mac + registers * r->register_file +
           between * r->between + read * r->buffer_read + written * r->buffer_write + memory +
           cycles * r->leakage_per_cycle;
}

/* The innermost loop of an order that iterates; LOOPS: none does. */
static int innermost_of(const Tiling *t, int order) {
    for (int depth = LOOPS - 1; depth >= 0; depth--)
        if (t->several >> NESTS[order][depth] & 1) return NESTS[order][depth];
    return LOOPS;
}

/* Share of a class of tiles that have the last index along an axis. */
static double share_of_last(const Tiling *t, const OnArray *array, unsigned last, int axis) {
    if (array->uneven >> axis & 1) return last >> axis & 1;
    return 1 / (double)t->tiles[axis];
}

/* Array cycles of the tiles beside which the operand that lacks the innermost loop is not moved.
 *
 * It is loaded beside the last tile of a round of that loop, or stored beside the first tile of the next. */
static double apart_of(const Tiling *t, const OnArray *array, int order, int innermost) {
    double beside = 0;
    for (unsigned last = array->uneven;; last = (last - 1) & array->uneven) {
        double share;
        if (innermost == K) {
            share = share_of_last(t, array, last, AXIS_K);
        } else if (innermost == C) { /* of those that are not the last one is the first */
            share = (1 - share_of_last(t, array, last, AXIS_C)) / (double)(t->tiles[AXIS_C] - 1);
        } else {
            share = share_of_last(t, array, last, AXIS_Y) * share_of_last(t, array, last, AXIS_X);
            if (order == KCP) share *= share_of_last(t, array, last, AXIS_N);
        }
        beside += array->count[last] * array->begins[last] * share;
        if (!last) break;
    }
    /* Nothing is loaded beside the last tile of all. */
    return array->total - beside + (innermost == C ? 0 : array->begins[array->uneven]);
}

/* Cycles that a tiling in a mode is not below; *exact* is what it costs on the array, if that is known. */
double bound_of(const State *s, const Tiling *t, const Mode *mode, double array, const OnArray *exact) {
    const Problem *p = &s->problem;
    const Memory *memory = s->in->memory;
    double every[OPERANDS] = {
        (double)mode->moved.inputs, (double)mode->moved.weights,
        (double)mode->moved.outputs + (double)mode->moved.sums};
    int innermost = innermost_of(t, mode->order);
    int between = innermost == K ? INPUTS : innermost == C ? OUTPUTS : innermost == LOOPS ? OPERANDS : WEIGHTS;
    double exposed = 0, beside = 0;
    for (int operand = 0; operand < OPERANDS; operand++) {
        bool single = mode->levels[operand] == SINGLE || !memory->is_double[operand];
        exposed += single ? every[operand] : t->startup[operand];
        beside += single || operand == between ? every[operand] : t->startup[operand];
        if (!single && operand == between && operand == INPUTS) /* what is added comes with each tile of outputs */
            beside -= (double)(p->g * p->k * p->n * p->y * p->x) * (double)p->second;
    }
    double slower = array + exposed * s->cycles_per_bit, moving = mode->traffic * s->cycles_per_bit;
    if (memory->memories > 1) {
        const double *rate = s->rates->bytes_per_cycle;
        for (int operand = 0; operand < OPERANDS; operand++)
            slower = larger(slower, every[operand] / (8 * rate[operand]));
    } else {
        moving += rounding_of(s, t->channel, t->pixel == s->pixel_count - 1);
        if (exact) {
            double stored = (double)s->pixels[MOST_WINDOWS][t->pixel] * (double)(t->size.g * t->size.k) *
                            (double)p->output_bits * (between != OUTPUTS);
            double computed = exact->begins[exact->uneven];
            moving += larger(computed - stored * s->cycles_per_bit - (stored > 0), 0);
        }
        if (exact && between != OPERANDS)
            slower = larger(slower, apart_of(t, exact, mode->order, innermost) + beside * s->cycles_per_bit);
    }
    return rounded_down(larger(slower, moving) + s->constant);
}
