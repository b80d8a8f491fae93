//! An address that is told of something by an HTTP POST: over TLS, or on this machine.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// Characters of an address.
const LONGEST: usize = 1_000;

/// `https://…`, or `http://` to a loopback address; without a user, a password or a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(Uri);

impl WebhookUrl {
    /// `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok().filter(|_| text.len() <= LONGEST && !text.contains(['#', '@']))?;
        let url = Self(uri);
        let loopback = url.host().parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let open = url.0.scheme() == Some(&Scheme::HTTP) && loopback;
        ((url.is_tls() || open) && !url.host().is_empty() && url.0.port_u16() != Some(0)).then_some(url)
    }

    /// Over TLS.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// A name, or an address without brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Host and port as they were written.
    pub fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_over_tls_or_stays_on_this_machine() {
        let url = WebhookUrl::parse("https://desk.strasbourg.example/new?of=havenlink").unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("desk.strasbourg.example", 443, "/new?of=havenlink"));
        for (own, port) in
            [("http://127.0.0.1:8080/new", 8_080), ("http://[::1]", 80), ("https://[2001:db8::1]:8443/", 8_443)]
        {
            let url = WebhookUrl::parse(own).unwrap();
            assert!(url.port() == port && !url.host().contains('['), "{own}");
        }
        let wrong = [
            "",
            "off",
            "desk.strasbourg.example",
            "http://desk.strasbourg.example/",
            "http://10.0.0.5/",
            "http://localhost/",
            "https://desk:word@strasbourg.example/",
            "https:///new",
            "ftp://127.0.0.1/",
            "/new",
            "https://desk.example:0/",
            "https://desk.example/#new",
            "http://127.0.0.1.example/",
        ];
        for wrong in wrong {
            assert_eq!(WebhookUrl::parse(wrong), None, "{wrong}");
        }
    }
}
