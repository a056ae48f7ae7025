//! This machine, as Linux describes it under /proc and /sys.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Readings that the load is taken over. The kernel counts in hundredths of a second, too coarse for one tenth alone.
const WINDOW: usize = 5;
/// Samples between two looks at the sensors, some of which are slow.
const SENSOR_EVERY: u32 = 10;

/// Measures, again and again.
#[derive(Debug)]
pub(crate) struct Machine {
    readings: VecDeque<Vec<Times>>,
    sensors: Vec<PathBuf>,
    temperature: f32,
    until_sensors: u32,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measurement {
    /// Load of each core over the last half second, in percent.
    pub(crate) cores: Vec<f32>,
    /// Bytes.
    pub(crate) memory_used: u64,
    /// Bytes.
    pub(crate) memory_total: u64,
    pub(crate) load: [f32; 3],
    /// Degrees Celsius; not a number if there is no sensor.
    pub(crate) temperature: f32,
}

/// What a core did since it started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    busy: u64,
    all: u64,
}

impl Machine {
    pub(crate) fn new() -> Result<Self, String> {
        let times = read("/proc/stat").map(|text| core_times(&text))?;
        if times.is_empty() {
            return Err("/proc/stat names no cores".to_owned());
        }
        Ok(Machine {
            readings: VecDeque::from([times]),
            sensors: sensors(),
            temperature: f32::NAN,
            until_sensors: 0,
        })
    }

    /// How many cores there were at the start.
    pub(crate) fn cores(&self) -> usize {
        self.readings.front().map_or(0, Vec::len)
    }

    pub(crate) fn measure(&mut self) -> Result<Measurement, String> {
        let now = core_times(&read("/proc/stat")?);
        let cores = match self.readings.front() {
            Some(before) => before.iter().zip(&now).map(|(a, b)| load(*a, *b)).collect(),
            None => Vec::new(),
        };
        self.readings.push_back(now);
        while self.readings.len() > WINDOW {
            self.readings.pop_front();
        }
        if self.until_sensors == 0 {
            self.temperature = hottest(&self.sensors);
            self.until_sensors = SENSOR_EVERY;
        }
        self.until_sensors -= 1;
        let (memory_used, memory_total) = memory(&read("/proc/meminfo")?);
        let load = load_averages(&read("/proc/loadavg")?);
        let temperature = self.temperature;
        Ok(Measurement { cores, memory_used, memory_total, load, temperature })
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// The lines `cpu0 user nice system idle iowait irq softirq steal ...`.
fn core_times(stat: &str) -> Vec<Times> {
    let of_core = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next()?.strip_prefix("cpu")?;
        number.parse::<u32>().ok()?;
        // Guest times, which follow the first eight, are contained in user and nice.
        let ticks: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
        let idle = ticks.get(3)?.saturating_add(*ticks.get(4).unwrap_or(&0));
        let all = ticks.iter().fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
        Some(Times { busy: all.saturating_sub(idle), all })
    };
    stat.lines().filter_map(of_core).collect()
}

/// In percent, from 0 to 100.
fn load(before: Times, now: Times) -> f32 {
    let all = now.all.saturating_sub(before.all);
    let busy = now.busy.saturating_sub(before.busy).min(all);
    if all == 0 {
        return 0.0;
    }
    100.0 * busy as f32 / all as f32
}

/// Used and total, in bytes.
fn memory(meminfo: &str) -> (u64, u64) {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let total = field("MemTotal:").unwrap_or(0);
    let available = field("MemAvailable:").or_else(|| field("MemFree:")).unwrap_or(0);
    (total.saturating_sub(available), total)
}

fn load_averages(loadavg: &str) -> [f32; 3] {
    let mut fields = loadavg.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0.0));
    std::array::from_fn(|_| fields.next().unwrap_or(0.0))
}

/// The files that hold temperatures: of hwmon, or else of the thermal zones.
fn sensors() -> Vec<PathBuf> {
    let hwmon = matching(Path::new("/sys/class/hwmon"), "hwmon", |name| {
        name.starts_with("temp") && name.ends_with("_input")
    });
    if !hwmon.is_empty() {
        return hwmon;
    }
    matching(Path::new("/sys/class/thermal"), "thermal_zone", |name| name == "temp")
}

fn matching(root: &Path, prefix: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let names = |path: &Path| -> io::Result<Vec<String>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into())).collect()
    };
    let mut files = Vec::new();
    for device in names(root).unwrap_or_default() {
        if device.starts_with(prefix) {
            let device = root.join(device);
            let found = names(&device).unwrap_or_default();
            files.extend(found.iter().filter(|name| wanted(name)).map(|name| device.join(name)));
        }
    }
    files
}

/// In degrees Celsius; sensors that say nothing, or nonsense, are left out.
fn hottest(sensors: &[PathBuf]) -> f32 {
    let degrees = |path: &PathBuf| {
        let thousandths: f32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Some(thousandths / 1000.0).filter(|degrees| (-50.0..=150.0).contains(degrees))
    };
    sensors.iter().filter_map(degrees).fold(f32::NAN, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_cores() {
        let stat = "cpu  9 9 9 9\ncpu0 10 1 4 80 5 0 0 0 7 7\ncpu1 0 0 0 100\nintr 1 2\ncpu\n";
        let expected = [Times { busy: 15, all: 100 }, Times { busy: 0, all: 100 }];
        assert_eq!(core_times(stat), expected);
    }

    #[test]
    fn loads_stay_between_0_and_100() {
        let at = |busy, all| Times { busy, all };
        assert_eq!(load(at(10, 100), at(35, 150)), 50.0);
        assert_eq!(load(at(10, 100), at(10, 100)), 0.0);
        // Counters of iowait may go back a little.
        assert_eq!(load(at(10, 100), at(30, 110)), 100.0);
        assert_eq!(load(at(10, 100), at(5, 90)), 0.0);
    }

    #[test]
    fn memory_and_load_averages() {
        let meminfo = "MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:    600 kB\n";
        assert_eq!(memory(meminfo), (400 << 10, 1000 << 10));
        assert_eq!(memory("nonsense"), (0, 0));
        assert_eq!(load_averages("0.50 1.25 2.00 1/234 5678\n"), [0.5, 1.25, 2.0]);
        assert_eq!(load_averages(""), [0.0; 3]);
    }
}
