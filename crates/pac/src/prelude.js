// The functions that a proxy auto-configuration file may call. `modkeepResolve`, `myIpAddress` and the clock come from
// the program.

function dnsResolve(host) {
    const address = modkeepResolve(String(host));
    return address === undefined ? null : address;
}

function isPlainHostName(host) {
    return String(host).indexOf(".") < 0;
}

function dnsDomainIs(host, domain) {
    return String(host).toLowerCase().endsWith(String(domain).toLowerCase());
}

function localHostOrDomainIs(host, name) {
    const short = String(host).toLowerCase();
    const long = String(name).toLowerCase();
    return short === long || (isPlainHostName(short) && long.startsWith(short + "."));
}

function dnsDomainLevels(host) {
    return String(host).split(".").length - 1;
}

function isResolvable(host) {
    return dnsResolve(host) !== null;
}

function isResolvableEx(host) {
    return isResolvable(host);
}

function dnsResolveEx(host) {
    return dnsResolve(host) || "";
}

function myIpAddressEx() {
    return myIpAddress();
}

function getClientVersion() {
    return "1.0";
}

function convert_addr(address) {
    const parts = String(address).split(".");
    const isNumber = (part) => /^[0-9]{1,3}$/.test(part) && Number(part) < 256;
    if (parts.length !== 4 || !parts.every(isNumber)) {
        return null;
    }
    return parts.reduce((number, part) => number * 256 + Number(part), 0) >>> 0;
}

function isInNet(host, network, mask) {
    let address = convert_addr(host);
    if (address === null) {
        address = convert_addr(dnsResolve(host));
    }
    const bits = convert_addr(mask);
    const base = convert_addr(network);
    if (address === null || bits === null || base === null) {
        return false;
    }
    return ((address & bits) >>> 0) === ((base & bits) >>> 0);
}

// `*` is any text, `?` any character. Without backtracking, so that no pattern takes long.
function shExpMatch(text, pattern) {
    const subject = String(text);
    const glob = String(pattern);
    let at = 0;
    let star = -1;
    let retry = 0;
    let next = 0;
    while (at < subject.length) {
        if (next < glob.length && (glob[next] === "?" || (glob[next] !== "*" && glob[next] === subject[at]))) {
            at += 1;
            next += 1;
        } else if (next < glob.length && glob[next] === "*") {
            star = next;
            retry = at;
            next += 1;
        } else if (star >= 0) {
            retry += 1;
            at = retry;
            next = star + 1;
        } else {
            return false;
        }
    }
    while (next < glob.length && glob[next] === "*") {
        next += 1;
    }
    return next === glob.length;
}

const modkeepTime = (function () {
    const days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

    // The arguments before "GMT", and the parts of the time in that zone.
    function parts(given) {
        const rest = Array.from(given);
        const isGmt = rest.length > 0 && rest[rest.length - 1] === "GMT";
        if (isGmt) {
            rest.pop();
        }
        const now = new Date();
        const get = (name) => (isGmt ? now["getUTC" + name]() : now["get" + name]());
        return {
            rest: rest,
            weekday: get("Day"),
            day: get("Date"),
            month: get("Month"),
            year: get("FullYear"),
            seconds: (get("Hours") * 60 + get("Minutes")) * 60 + get("Seconds"),
        };
    }

    function isWithin(value, from, to) {
        return from <= to ? from <= value && value <= to : value >= from || value <= to;
    }

    function weekday(given) {
        const now = parts(given);
        const [from, to = from] = now.rest.map((name) => days.indexOf(String(name).toUpperCase()));
        return from >= 0 && to >= 0 && isWithin(now.weekday, from, to);
    }

    function time(given) {
        const now = parts(given);
        const n = now.rest.map(Number);
        const at = (hours, minutes, seconds) => (hours * 60 + minutes) * 60 + seconds;
        switch (n.length) {
            case 1: return isWithin(now.seconds, at(n[0], 0, 0), at(n[0], 59, 59));
            case 2: return isWithin(now.seconds, at(n[0], 0, 0), at(n[1], 0, 0) - 1);
            case 4: return isWithin(now.seconds, at(n[0], n[1], 0), at(n[2], n[3], 0) - 1);
            case 6: return isWithin(now.seconds, at(n[0], n[1], n[2]), at(n[3], n[4], n[5]));
            default: return false;
        }
    }

    // Days, months and years may each be left out, in both halves alike.
    function half(words) {
        const found = {};
        for (const word of words) {
            const month = months.indexOf(String(word).toUpperCase());
            if (month >= 0) {
                found.month = month;
            } else if (Number(word) >= 1 && Number(word) <= 31) {
                found.day = Number(word);
            } else {
                found.year = Number(word);
            }
        }
        return found;
    }

    function date(given) {
        const now = parts(given);
        const isOne = now.rest.length === 1;
        const middle = isOne ? 1 : now.rest.length / 2;
        if (now.rest.length === 0 || middle !== Math.floor(middle)) {
            return false;
        }
        const from = half(now.rest.slice(0, middle));
        const to = isOne ? from : half(now.rest.slice(middle));
        const number = (of) =>
            ("year" in from ? of.year * 372 : 0) + ("month" in from ? of.month * 31 : 0) + ("day" in from ? of.day - 1 : 0);
        return isWithin(number(now), number(from), number(to));
    }

    return { weekday: weekday, time: time, date: date };
})();

function weekdayRange() {
    return modkeepTime.weekday(arguments);
}

function timeRange() {
    return modkeepTime.time(arguments);
}

function dateRange() {
    return modkeepTime.date(arguments);
}

function alert() {}
