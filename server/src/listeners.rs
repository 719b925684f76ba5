//! Listeners as `listeners` and `advertised.listeners` write them: `NAME://host:port`, or just `host:port`.

use std::fmt;

/// Host and port with the name that they are configured under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The listener's name, in upper case; `PLAINTEXT` when none is given.
    pub(crate) name: String,
    /// A name or an address, without brackets; empty is every address.
    pub(crate) host: String,
    /// The port; 0 lets the system choose.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Reads one endpoint. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Endpoint, String> {
        let (name, address) = match text.split_once("://") {
            Some((name, address)) => (name.trim().to_ascii_uppercase(), address.trim()),
            None => ("PLAINTEXT".to_string(), text.trim()),
        };
        let (host, port) =
            address.rsplit_once(':').ok_or_else(|| format!("'{text}' has no port; expected host:port"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(format!("'{text}': an IPv6 address must be in brackets, as in [::1]:9092"));
        }
        let host = bare.unwrap_or(host);
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == ',') {
            return Err(format!("'{text}': '{host}' is no host"));
        }
        let port = port.parse().map_err(|_| format!("'{text}': '{port}' is no port (0 to 65535)"))?;
        Ok(Endpoint { name, host: host.to_string(), port })
    }

    /// Whether it stands for every address of the machine, which nobody can connect to.
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::" | "*")
    }

    /// The address to bind: `host:port`, with brackets where an address needs them.
    pub(crate) fn bind_address(&self) -> String {
        match self.host.as_str() {
            "" | "*" => format!("0.0.0.0:{}", self.port),
            host if host.contains(':') => format!("[{host}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

/// As clients write it: `host:port`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bind_address())
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    fn parse(text: &str) -> (String, String, u16) {
        let endpoint = Endpoint::parse(text).unwrap();
        (endpoint.name, endpoint.host, endpoint.port)
    }

    #[test]
    fn an_endpoint_has_a_name_a_host_and_a_port() {
        assert_eq!(parse("PLAINTEXT://host:9092"), ("PLAINTEXT".into(), "host".into(), 9092));
        assert_eq!(parse("127.0.0.1:0"), ("PLAINTEXT".into(), "127.0.0.1".into(), 0));
        assert_eq!(parse("internal://[::1]:1"), ("INTERNAL".into(), "::1".into(), 1));
        assert_eq!(parse("PLAINTEXT://:9092"), ("PLAINTEXT".into(), String::new(), 9092));
        assert_eq!(Endpoint::parse("[::1]:1").unwrap().to_string(), "[::1]:1");
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        let told = |text: &str| Endpoint::parse(text).unwrap_err();
        assert!(told("localhost").contains("has no port"));
        assert!(told("localhost:99999").contains("is no port"));
        assert!(told("::1:9092").contains("brackets"));
        assert!(told("a b:1").contains("is no host"));
    }

    #[test]
    fn every_address_is_known_in_all_its_spellings() {
        for text in [":1", "0.0.0.0:1", "[::]:1", "PLAINTEXT://:1"] {
            assert!(Endpoint::parse(text).unwrap().is_wildcard(), "{text}");
        }
        assert!(!Endpoint::parse("10.0.0.1:1").unwrap().is_wildcard());
    }
}
