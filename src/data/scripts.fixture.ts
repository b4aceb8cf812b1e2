import { drawFor } from '../random/index.ts';

const sentences: Record<string, string> = {
  english: 'The old miller left his house, his cat and his mill to three sons, and the youngest of them had the cat.',
  russian: 'Старый мельник оставил трём сыновьям мельницу, осла и кота, и младшему сыну достался только кот.',
  arabic: 'تركَ الطحّانُ العجوزُ لأبنائه الثلاثة طاحونةً وحمارًا وقطًّا، فكان القطُّ من نصيب أصغرهم.',
  hindi: 'बूढ़े चक्की वाले ने अपने तीन बेटों के लिए चक्की, गधा और बिल्ली छोड़ी, और सबसे छोटे को बिल्ली मिली।',
  korean: '늙은 방앗간 주인은 세 아들에게 방앗간과 당나귀와 고양이를 남겼고 막내아들은 고양이를 받았다.',
  japanese: '年老いた粉屋は三人の息子に水車小屋とロバと猫を残し、いちばん下の息子は猫だけをもらいました。',
  thai: 'คนโม่แป้งเฒ่าทิ้งโรงสี ลา และแมวไว้ให้ลูกชายทั้งสามคน ลูกชายคนเล็กได้แต่แมวเพียงตัวเดียวเท่านั้น',
  lao: 'ຊາວໂຮງສີເຖົ້າໄດ້ປະໂຮງສີ ລາ ແລະ ແມວ ໄວ້ໃຫ້ລູກຊາຍທັງສາມຄົນ ລູກຊາຍຫຼ້າໄດ້ແຕ່ແມວໂຕດຽວ',
  khmer: 'អ្នកកិនស្រូវចំណាស់បានទុកម៉ាស៊ីនកិនស្រូវ លា និងឆ្មា ឱ្យកូនប្រុសបីនាក់ ហើយកូនពៅបានតែឆ្មាមួយក្បាល។',
  burmese: 'ဂျုံကြိတ်သမားကြီးသည် သားသုံးယောက်အတွက် ကြိတ်စက်၊ မြည်းနှင့် ကြောင်ကို ချန်ထားခဲ့ပြီး သားအငယ်ဆုံးက ကြောင်ကိုသာ ရခဲ့သည်။',
  tibetan: 'རང་འཐག་པ་རྒན་པོས་བུ་གསུམ་ལ་རང་འཐག་དང་བོང་བུ། ཞི་མི་བཅས་བཞག་པ་རེད།',
  emoji: 'so good 😀😂 thanks🙏🙏 see you 👋🏽 at the 🏖️ with 👩‍👩‍👧 and 🇫🇷🇯🇵 ❤️🔥😂',
};
/** Scripts that write words one behind another: their sentences come here without any space. */
const unspaced = new Set(['thai', 'lao', 'khmer', 'burmese']);

/** Texts of about `characters` characters in many scripts, always the same: the words of a sentence in random order, in paragraphs; and Chinese characters drawn by Zipf's law. */
export function scriptTexts(characters: number): Record<string, string> {
  const draw = drawFor({ seed: 7, epoch: 0, sample: 0 }, 0);
  const texts = Object.entries(sentences).map(([name, sentence]) => {
    const words = sentence.split(' ');
    const between = unspaced.has(name) ? '' : ' ';
    let text = '';
    while (text.length < characters) {
      const some = Array.from({ length: 40 }, () => words[draw(words.length)]!);
      text += `${some.join(between)}\n`;
    }
    return [name, text] as const;
  });
  return { ...Object.fromEntries(texts), chinese: zipfChinese(characters, draw) };
}

/** Sentences of Chinese characters, the r-th of 6,000 with a frequency of 1/r. */
function zipfChinese(characters: number, draw: (below: number) => number): string {
  let text = '';
  while (text.length < characters) {
    const rank = Math.floor(6000 ** (draw(2 ** 20) / 2 ** 20));
    text += String.fromCodePoint(0x4e00 + ((rank * 2654435761) % 20000));
    if (draw(30) === 0) text += '，';
    if (draw(60) === 0) text += '。\n';
  }
  return text;
}
